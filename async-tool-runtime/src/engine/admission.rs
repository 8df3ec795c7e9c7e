//! Slots: how many tasks run at once, in all and of each tool.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use crate::catalog::Catalog;
use crate::store::Want;

/// The worker's slots.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    free: Mutex<Free>,
    /// Notified whenever a slot becomes free.
    freed: Notify,
}

#[derive(Debug)]
struct Free {
    all: usize,
    tools: HashMap<Arc<str>, Tool>,
    /// Tasks that have begun and go on with the next slot of their tool.
    first: VecDeque<(Arc<str>, oneshot::Sender<Slot>)>,
}

#[derive(Debug)]
struct Tool {
    free: usize,
    /// Moving average of how long a task of this tool runs.
    duration: Option<Duration>,
    concurrency: usize,
}

/// The right to execute one task of a tool; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Slots,
    tool: Arc<str>,
}

/// All slots that were free, until they are used or given back by dropping.
#[derive(Debug)]
pub(crate) struct Reservation {
    slots: Slots,
    pub(crate) wants: Vec<Want>,
    pub(crate) left: usize,
}

impl Slots {
    pub(crate) fn new(all: usize, catalog: &Catalog) -> Self {
        let tools = catalog
            .iter()
            .map(|entry| {
                let concurrency = entry.descriptor.concurrency.unwrap_or(all).min(all);
                let tool = Tool {
                    free: concurrency,
                    duration: None,
                    concurrency,
                };
                (Arc::clone(&entry.name), tool)
            })
            .collect();
        Self {
            inner: Arc::new(Inner {
                free: Mutex::new(Free {
                    all,
                    tools,
                    first: VecDeque::new(),
                }),
                freed: Notify::new(),
            }),
        }
    }

    /// Takes a slot for a task of this tool, if there is one.
    pub(crate) fn take(&self, tool: &Arc<str>) -> Option<Slot> {
        let mut free = self.free();
        let free = &mut *free;
        let room = free.tools.get_mut(tool)?;
        if free.all == 0 || room.free == 0 {
            return None;
        }
        free.all -= 1;
        room.free -= 1;
        Some(Slot {
            slots: self.clone(),
            tool: Arc::clone(tool),
        })
    }

    /// Takes a slot for a task that gave its own up for a while: the next one
    /// that becomes free, before any task that has not begun.
    pub(crate) async fn again(&self, tool: &Arc<str>) -> Slot {
        loop {
            if let Ok(slot) = self.line_up(tool).await {
                return slot;
            }
        }
    }

    fn line_up(&self, tool: &Arc<str>) -> oneshot::Receiver<Slot> {
        let (given, slot) = oneshot::channel();
        let mut free = self.free();
        free.first.push_back((Arc::clone(tool), given));
        self.hand_out(free);
        slot
    }

    /// Gives what is free to those who are first in line.
    fn hand_out(&self, mut free: MutexGuard<'_, Free>) {
        let mut handed = Vec::new();
        let mut waiting = VecDeque::new();
        while let Some((tool, given)) = free.first.pop_front() {
            let all = free.all;
            match free.tools.get_mut(&tool) {
                Some(room) if all > 0 && room.free > 0 => {
                    room.free -= 1;
                    free.all -= 1;
                    let slots = self.clone();
                    handed.push((given, Slot { slots, tool }));
                }
                _ => waiting.push_back((tool, given)),
            }
        }
        free.first = waiting;
        // A slot that nobody takes comes back here.
        drop(free);
        for (given, slot) in handed {
            let _ = given.send(slot);
        }
    }

    /// Takes all free slots at once, for a claim of queued tasks. Meanwhile
    /// [`take`](Self::take) finds none, so new tasks queue behind the old ones.
    pub(crate) fn reserve(&self) -> Reservation {
        let mut free = self.free();
        let left = std::mem::take(&mut free.all);
        let wants = free
            .tools
            .iter()
            .filter(|(_, tool)| tool.free > 0)
            .map(|(name, tool)| Want::new(Arc::clone(name), tool.free.min(left)))
            .collect();
        Reservation {
            slots: self.clone(),
            wants,
            left,
        }
    }

    /// Completes when a slot has become free since the last call.
    pub(crate) async fn freed(&self) {
        self.inner.freed.notified().await;
    }

    /// Learns how long a task ran.
    pub(crate) fn observe(&self, tool: &str, duration: Duration) {
        if let Some(tool) = self.free().tools.get_mut(tool) {
            tool.duration = Some(match tool.duration {
                Some(average) => (average * 3 + duration) / 4,
                None => duration,
            });
        }
    }

    /// When a refused caller should try again: about when a slot of the tool
    /// becomes free, between 1 and 60 seconds.
    pub(crate) fn retry_after(&self, tool: &str) -> Duration {
        const UNKNOWN: Duration = Duration::from_secs(5);
        let free = self.free();
        free.tools
            .get(tool)
            .and_then(|tool| {
                let concurrency = u32::try_from(tool.concurrency.max(1)).unwrap_or(u32::MAX);
                Some(tool.duration? / concurrency)
            })
            .unwrap_or(UNKNOWN)
            .clamp(Duration::from_secs(1), Duration::from_secs(60))
    }

    fn free(&self) -> MutexGuard<'_, Free> {
        self.inner
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    /// Turns one reserved slot into the slot of a claimed task. None: more
    /// was claimed than there was room for.
    pub(crate) fn slot(&mut self, tool: &Arc<str>) -> Option<Slot> {
        let mut free = self.slots.free();
        let room = free.tools.get_mut(tool)?;
        if self.left == 0 || room.free == 0 {
            return None;
        }
        room.free -= 1;
        self.left -= 1;
        Some(Slot {
            slots: self.slots.clone(),
            tool: Arc::clone(tool),
        })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut free = self.slots.free();
        free.all += self.left;
        self.slots.hand_out(free);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut free = self.slots.free();
        free.all += 1;
        if let Some(tool) = free.tools.get_mut(&self.tool) {
            tool.free += 1;
        }
        self.slots.hand_out(free);
        self.slots.inner.freed.notify_one();
    }
}
