//! What the receipts of a campaign say, kind by kind.

use super::receipt_state_name;
use crate::journal::query::campaign_report::{FIRST_OF_EACH, Failure};
use crate::journal::store::names::Names;
use hashbrown::HashMap;

/// Kinds that are counted each. An SMSC that puts a different error into every receipt would otherwise fill the memory.
const KINDS_MAX: usize = 1_000;
/// Stands for the state of a receipt where the operator gave an attempt up.
pub const ABANDONED: i64 = -1;

/// What some receipts say.
#[derive(Debug)]
struct Kind {
    state: Option<i64>,
    error: Option<String>,
    parts: i64,
    first: Vec<i64>,
}

/// What receipts say, counted.
#[derive(Debug, Default)]
pub struct Kinds {
    kinds: Vec<Kind>,
    index: HashMap<Option<i64>, HashMap<String, usize>>,
}

impl Kinds {
    /// The index of a kind.
    pub fn index_of(&mut self, state: Option<i64>, error: Option<&str>) -> usize {
        let error = error.unwrap_or_default();
        let known = self.index.entry(state).or_default();
        if let Some(&index) = known.get(error) {
            return index;
        }
        let other = self.kinds.len() >= KINDS_MAX;
        let error = if other { "(others)" } else { error };
        *known.entry(error.to_owned()).or_insert_with(|| {
            let error = (!error.is_empty()).then(|| error.to_owned());
            self.kinds.push(Kind { state, error, parts: 0, first: Vec::new() });
            self.kinds.len() - 1
        })
    }

    /// Counts a part of it.
    pub fn add(&mut self, index: usize, part: i64) {
        if let Some(kind) = self.kinds.get_mut(index) {
            kind.parts += 1;
            if kind.first.len() < FIRST_OF_EACH {
                kind.first.push(part);
            }
        }
    }

    /// In words, the most frequent first.
    pub fn in_words(self, names: &Names) -> Vec<Failure> {
        let mut told: Vec<_> = self
            .kinds
            .into_iter()
            .filter(|kind| kind.parts > 0)
            .map(|Kind { state, error, parts, first }| Failure {
                state: match state {
                    None => "unknown".into(),
                    Some(ABANDONED) => "ABANDONED".into(),
                    Some(state) => receipt_state_name(state).into_owned(),
                },
                meaning: match (state, &error) {
                    (Some(ABANDONED), _) | (_, None) => None,
                    (_, Some(error)) => names.meaning(error).map(str::to_owned),
                },
                error,
                parts,
                first,
            })
            .collect();
        told.sort_by(|a, b| b.parts.cmp(&a.parts).then_with(|| (&a.state, &a.error).cmp(&(&b.state, &b.error))));
        told
    }
}
