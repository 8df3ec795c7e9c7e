//! How much is sent at once. The rest comes again, so that what is slow does not
//! hold up others.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Those who share places.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Share {
    /// Endpoints on this host.
    Endpoints(String),
    /// Callers' URLs on this host.
    Host(String),
    /// Callers' URLs on hosts that were allowed together: a caller may make up
    /// names below `*.example.com`.
    Allowed(String),
    /// All callers' URLs. A worker has more in hand: the rest is for endpoints.
    Callers,
}

impl Share {
    fn most(&self) -> usize {
        match self {
            Self::Endpoints(_) | Self::Host(_) => 8,
            Self::Allowed(_) => 24,
            Self::Callers => 48,
        }
    }
}

/// The messages that are being sent, by those who share places.
#[derive(Default)]
pub(super) struct Places(Mutex<HashMap<Share, usize>>);

/// A message that is being sent.
pub(super) struct Place<'a> {
    places: &'a Places,
    shares: Vec<Share>,
}

impl Places {
    /// A place in each of these shares, which are different ones; none if one of
    /// them is full.
    pub(super) fn take(&self, shares: Vec<Share>) -> Option<Place<'_>> {
        let mut taken = self.lock();
        let is_full = |share: &Share| taken.get(share).is_some_and(|count| *count >= share.most());
        if shares.iter().any(is_full) {
            return None;
        }
        for share in &shares {
            *taken.entry(share.clone()).or_default() += 1;
        }
        Some(Place {
            places: self,
            shares,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Share, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        for share in &self.shares {
            if let Some(count) = taken.get_mut(share) {
                *count -= 1;
                if *count == 0 {
                    taken.remove(share);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn callback(host: usize, allowed: usize) -> Vec<Share> {
        let host = Share::Host(host.to_string());
        vec![host, Share::Allowed(allowed.to_string()), Share::Callers]
    }

    /// Takes as many as there are, each for another host.
    fn fill<'a>(places: &'a Places, allowed: usize) -> Vec<Place<'a>> {
        let takes = (0..).map_while(|host| places.take(callback(host, allowed)));
        takes.collect()
    }

    #[test]
    fn made_up_names_leave_places_for_others() {
        let places = Places::default();
        let first = fill(&places, 1);
        assert_eq!(first.len(), 24);
        let second = fill(&places, 2);
        assert_eq!(second.len(), 24);
        assert!(places.take(callback(0, 3)).is_none(), "callers have theirs");
        let endpoint = || places.take(vec![Share::Endpoints("0".to_owned())]);
        assert!(endpoint().is_some());
        drop(first);
        assert_eq!(fill(&places, 1).len(), 24);
    }

    #[test]
    fn what_finds_no_place_takes_none() {
        let places = Places::default();
        let same = || places.take(callback(99, 1));
        let taken: Vec<_> = (0..8).map_while(|_| same()).collect();
        assert_eq!(taken.len(), 8);
        assert!(same().is_none());
        assert_eq!(fill(&places, 2).len(), 24);
        drop(taken);
        assert!(places.lock().is_empty());
    }
}
