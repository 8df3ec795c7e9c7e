//! The application's own values, looked up by type.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;

use tokio_util::sync::CancellationToken;

use crate::context::TaskContext;
use crate::progress::Progress;

/// A type that a tool borrows from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Borrow {
    id: TypeId,
    name: &'static str,
}

impl Borrow {
    /// The borrow of a `&T`.
    pub fn of<T: 'static>() -> Self {
        Self {
            id: TypeId::of::<T>(),
            name: type_name::<T>(),
        }
    }

    /// The type's name, for messages.
    pub fn type_name(self) -> &'static str {
        self.name
    }

    /// Whether the task itself provides it.
    fn is_of_the_task(self) -> bool {
        [
            TypeId::of::<TaskContext>(),
            TypeId::of::<Progress>(),
            TypeId::of::<CancellationToken>(),
        ]
        .contains(&self.id)
    }
}

/// Values given by `.state(value)`, one of each type.
#[derive(Default)]
pub(crate) struct StateMap {
    values: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
}

impl StateMap {
    /// Adds a value; false if there was one of this type already.
    pub(crate) fn insert<T: Send + Sync + 'static>(&mut self, value: T) -> bool {
        self.values
            .insert(TypeId::of::<T>(), Box::new(value))
            .is_none()
    }

    pub(crate) fn get<T: 'static>(&self) -> Option<&T> {
        self.values.get(&TypeId::of::<T>())?.downcast_ref()
    }

    pub(crate) fn provides(&self, borrow: Borrow) -> bool {
        borrow.is_of_the_task() || self.values.contains_key(&borrow.id)
    }
}

impl fmt::Debug for StateMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateMap")
            .field("types", &self.values.len())
            .finish()
    }
}
