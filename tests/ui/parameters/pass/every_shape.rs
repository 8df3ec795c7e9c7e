#![deny(warnings)]

use std::borrow::Cow;
use std::collections::HashMap;

use async_tool::{Progress, TaskContext, async_tool};

mod seconds {
    pub(crate) fn serialize<S: serde::Serializer>(
        duration: &crate::Opaque,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(duration.0)
    }

    pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<crate::Opaque, D::Error> {
        serde::Deserialize::deserialize(deserializer).map(crate::Opaque)
    }
}

pub(crate) struct Opaque(u64);

#[async_tool]
async fn owned(
    r#type: String,
    mut count: u8,
    optional: Option<Vec<HashMap<String, bool>>>,
    cow: Cow<'static, str>,
    array: [u8; 4],
    tuple: (u8, String),
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    opaque: Opaque,
    #[serde(default, skip_serializing_if = "Option::is_none")] skipped: Option<u8>,
    #[serde(rename = "from", alias = "source")] sender: String,
    #[schemars(range(min = 1, max = 10))] ranged: u8,
) -> u8 {
    let _ = (r#type, optional, cow, array, tuple, skipped, sender, ranged);
    count += 1;
    let Opaque(_) = opaque;
    count
}

struct Pair {
    left: u8,
}

#[async_tool]
async fn lent(
    task: &TaskContext,
    progress: &Progress,
    _: &(u8, u8),
    Pair { left }: &Pair,
    lists: &Vec<&'static str>,
) {
    let _ = (task, progress, left, lists);
}

fn main() {}
