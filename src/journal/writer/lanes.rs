//! What each campaign that is sent has at hand: the chunks that were read ahead of it, and where reading goes on. Only those
//! that have a place are read ahead, and one that lost its place and has chunks gives them up when there are many, so that
//! memory is bounded however many campaigns there are.

use super::read_ahead::{FeedRange, Feeder, REQUESTS_MAX, Read, Request};
use crate::journal::error::JournalError;
use crate::journal::model::events::Chunk;
use crossbeam_channel::Receiver;
use hashbrown::{HashMap, HashSet};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

/// Messages read in one go, and chunks that a campaign has at hand or asked for, where it is the only one.
const ALONE: (i64, usize) = (1_024, 4);
/// The same for each of several.
const SEVERAL: (i64, usize) = (512, 2);
/// Campaigns that have chunks at hand: twice as many as can have a place.
const HOLDING_MAX: usize = 48;

const _: () = assert!(HOLDING_MAX * SEVERAL.1 + ALONE.1 < REQUESTS_MAX);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    path: PathBuf,
    lanes: HashMap<u32, Lane>,
    /// Those of which not all is read and claimed.
    unfinished: HashSet<u32>,
    /// Those that have chunks at hand or asked for.
    holding: HashSet<u32>,
    feeder: Option<Feeder>,
    /// The thread that reads stays where there is nothing to read: there will be something in a moment.
    stays: bool,
}

#[derive(Debug)]
struct Lane {
    chunks: VecDeque<Arc<Chunk>>,
    /// From where on the first chunk is not claimed yet.
    at: usize,
    /// Where to read on: said with the first request of an epoch.
    from: Option<i64>,
    end: i64,
    epoch: u32,
    /// Requests that are not answered.
    asked: usize,
    /// All is read.
    is_read: bool,
}

impl Lane {
    /// Whether something is left, at hand or not.
    fn has_more(&self) -> bool {
        !self.is_read || !self.chunks.is_empty()
    }
}

/// A place in what a campaign has at hand.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Cursor {
    chunk: usize,
    item: usize,
}

impl Lanes {
    /// None, of this journal.
    pub(super) fn of(path: PathBuf) -> Self {
        Self { path, ..Self::default() }
    }

    /// The messages of the campaign that are to go are those of this range, from now on.
    pub(super) fn put(&mut self, range: FeedRange) {
        let epoch = self.lanes.get(&range.campaign).map_or(0, |lane| lane.epoch + 1);
        self.remove(range.campaign);
        let is_read = range.from >= range.limit_end;
        let lane = Lane {
            chunks: VecDeque::new(),
            at: 0,
            from: Some(range.from),
            end: range.limit_end,
            epoch,
            asked: 0,
            is_read,
        };
        self.lanes.insert(range.campaign, lane);
        if !is_read {
            self.unfinished.insert(range.campaign);
        }
    }

    /// The thread that reads is kept from now on, until [`Self::end`].
    pub(super) fn stay(&mut self) {
        self.stays = true;
    }

    /// Nothing more is read.
    pub(super) fn end(&mut self) {
        self.stays = false;
        self.feeder = None;
    }

    /// Messages were added to the campaign behind those that it had: what is at hand stays.
    pub(super) fn extend(&mut self, range: FeedRange) {
        let Some(lane) = self.lanes.get_mut(&range.campaign) else { return self.put(range) };
        let Some(last) = lane.chunks.back().and_then(|chunk| chunk.items.last()) else { return self.put(range) };
        // What is asked for was asked for up to the end that it had.
        let from = last.message + i64::from(last.parts.max(1));
        (lane.epoch, lane.asked) = (lane.epoch + 1, 0);
        (lane.from, lane.end, lane.is_read) = (Some(from), range.limit_end, from >= range.limit_end);
        self.unfinished.insert(range.campaign);
    }

    /// Nothing more of the campaign goes. Its range is kept in mind, so that what is still read of it is not taken for another.
    pub(super) fn remove(&mut self, campaign: u32) {
        self.unfinished.remove(&campaign);
        self.holding.remove(&campaign);
        if let Some(lane) = self.lanes.get_mut(&campaign) {
            lane.chunks.clear();
            (lane.epoch, lane.asked, lane.is_read) = (lane.epoch + 1, 0, true);
        }
        self.rest();
    }

    /// Whether the campaign has messages that were never claimed, at hand or not.
    pub(super) fn has_more(&self, campaign: u32) -> bool {
        self.unfinished.contains(&campaign)
    }

    /// Whether some campaign has such.
    pub(super) fn have_more(&self) -> bool {
        !self.unfinished.is_empty()
    }

    /// Whether the thread that reads has something to do.
    #[cfg(test)]
    pub(super) fn is_reading(&self) -> bool {
        self.lanes.values().any(|lane| lane.asked > 0)
    }

    /// Whether the campaign has some at hand.
    pub(super) fn at_hand(&self, campaign: u32) -> bool {
        self.lanes.get(&campaign).is_some_and(|lane| !lane.chunks.is_empty())
    }

    /// The chunk to claim from, and from where on.
    pub(super) fn first(&self, campaign: u32) -> Option<(Arc<Chunk>, usize)> {
        let lane = self.lanes.get(&campaign)?;
        Some((Arc::clone(lane.chunks.front()?), lane.at))
    }

    /// The first chunk is claimed up to there.
    pub(super) fn claimed(&mut self, campaign: u32, at: usize) {
        let Some(lane) = self.lanes.get_mut(&campaign) else { return };
        lane.at = at;
        if lane.chunks.front().is_some_and(|chunk| at >= chunk.items.len()) {
            lane.chunks.pop_front();
            lane.at = 0;
            self.note(campaign);
        }
    }

    /// Where what the campaign has at hand begins.
    pub(super) fn start(&self, campaign: u32) -> Cursor {
        Cursor { chunk: 0, item: self.lanes.get(&campaign).map_or(0, |lane| lane.at) }
    }

    /// The parts of the message there, and what comes after it; `None`: no more is at hand.
    pub(super) fn parts_at(&self, campaign: u32, cursor: Cursor) -> Option<(usize, Cursor)> {
        let chunk = self.lanes.get(&campaign)?.chunks.get(cursor.chunk)?;
        let parts = usize::from(chunk.items.get(cursor.item)?.parts).max(1);
        let item = cursor.item + parts;
        let next = if item < chunk.items.len() {
            Cursor { item, ..cursor }
        } else {
            Cursor { chunk: cursor.chunk + 1, item: 0 }
        };
        Some((parts, next))
    }

    /// What was read; `None`: nothing is asked for.
    pub(super) fn chunks(&self) -> Option<&Receiver<Result<Read, JournalError>>> {
        if self.holding.is_empty() { None } else { self.feeder.as_ref().map(Feeder::chunks) }
    }

    /// Campaigns that have chunks at hand or asked for.
    #[cfg(test)]
    pub(super) fn holding(&self) -> usize {
        self.holding.len()
    }

    /// Takes what was read. Returns the campaign, unless that was of no use any more.
    pub(super) fn take(&mut self, read: Result<Read, JournalError>) -> Result<Option<u32>, JournalError> {
        let Read { campaign, epoch, chunk, is_last } = read?;
        let Some(lane) = self.lanes.get_mut(&campaign).filter(|lane| lane.epoch == epoch) else { return Ok(None) };
        lane.asked -= 1;
        lane.is_read |= is_last;
        if !chunk.items.is_empty() {
            lane.chunks.push_back(Arc::new(chunk));
        }
        self.note(campaign);
        Ok(Some(campaign))
    }

    /// Takes one that is there already.
    pub(super) fn take_ready(&mut self) -> Result<Option<Option<u32>>, JournalError> {
        let Some(read) = self.feeder.as_ref().and_then(|feeder| feeder.chunks().try_recv().ok()) else {
            return Ok(None);
        };
        self.take(read).map(Some)
    }

    /// Has read on what those want that have a place.
    pub(super) fn read_on(&mut self, active: &[u32]) -> Result<(), JournalError> {
        let (messages, ahead) = if active.len() == 1 { ALONE } else { SEVERAL };
        for &campaign in active {
            let Some(lane) = self.lanes.get_mut(&campaign) else { continue };
            while !lane.is_read && lane.chunks.len() + lane.asked < ahead {
                let feeder = match &self.feeder {
                    Some(feeder) => feeder,
                    None => self.feeder.insert(Feeder::spawn(&self.path)?),
                };
                let request = Request { campaign, epoch: lane.epoch, from: lane.from, end: lane.end, messages };
                if !feeder.ask(request) {
                    return Ok(());
                }
                lane.from = None;
                lane.asked += 1;
                self.holding.insert(campaign);
            }
        }
        if self.holding.len() > HOLDING_MAX {
            self.give_up(active);
        }
        Ok(())
    }

    /// Those without a place give up what they have at hand: it is read again when they have one.
    fn give_up(&mut self, active: &[u32]) {
        let idle: Vec<u32> = self.holding.iter().copied().filter(|campaign| !active.contains(campaign)).collect();
        for campaign in idle {
            let Some(lane) = self.lanes.get_mut(&campaign) else { continue };
            // What is asked for and not there cannot be named: it is waited for.
            let Some(first) = lane.chunks.front().and_then(|chunk| chunk.items.get(lane.at)) else { continue };
            (lane.from, lane.is_read) = (Some(first.message), false);
            (lane.epoch, lane.asked, lane.at) = (lane.epoch + 1, 0, 0);
            lane.chunks.clear();
            self.holding.remove(&campaign);
        }
    }

    /// Keeps the sets as the lane is.
    fn note(&mut self, campaign: u32) {
        let Some(lane) = self.lanes.get(&campaign) else { return };
        if !lane.has_more() {
            self.unfinished.remove(&campaign);
        }
        if lane.chunks.is_empty() && lane.asked == 0 {
            self.holding.remove(&campaign);
        }
        self.rest();
    }

    /// Without anything to read no thread is kept, nor its connection. What it was asked for beyond the last message comes no more.
    fn rest(&mut self) {
        if !self.unfinished.is_empty() || self.stays {
            return;
        }
        self.feeder = None;
        for campaign in self.holding.drain() {
            if let Some(lane) = self.lanes.get_mut(&campaign) {
                (lane.epoch, lane.asked) = (lane.epoch + 1, 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::model::campaign::CampaignOptions;
    use crate::journal::store::intake::{Intake, Kept, NewMessage};
    use std::time::{Duration, Instant};

    /// A journal with so many messages.
    fn journal(messages: i64) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let mut intake = Intake::begin(&path, "test", "", &CampaignOptions::default()).unwrap();
        let rows = (0..messages).map(|n| {
            Kept::Message(NewMessage {
                line: n as u64 + 2,
                destination: "447700900001",
                number: 447_700_900_001,
                source: None,
                text: "Hi",
                encoding: 0,
                parts: 1,
                fields: None,
                typed: None,
                suppressed: false,
            })
        });
        intake.store(rows).unwrap();
        intake.finish("").unwrap();
        (folder, path)
    }

    /// Reads and claims all that there is, in pieces of so many. Returns the messages.
    fn claim_all(lanes: &mut Lanes, piece: usize) -> Vec<i64> {
        let (mut claimed, until) = (Vec::new(), Instant::now() + Duration::from_secs(20));
        while lanes.has_more(0) && Instant::now() < until {
            lanes.read_on(&[0]).unwrap();
            while lanes.take_ready().unwrap().is_some() {}
            let Some((chunk, at)) = lanes.first(0) else {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            };
            let next = (at + piece).min(chunk.items.len());
            claimed.extend(chunk.items[at..next].iter().map(|item| item.message));
            lanes.claimed(0, next);
        }
        claimed
    }

    #[test]
    fn a_campaign_that_is_through_holds_nothing() {
        let (_folder, path) = journal(20);
        let mut lanes = Lanes::of(path);
        for _ in 0..3 {
            lanes.put(FeedRange { campaign: 0, from: 1, limit_end: 21 });
            lanes.read_on(&[0]).unwrap();
            // More was asked for than there is, and only the first of it has come when all is claimed.
            let read = lanes.chunks().unwrap().recv().unwrap();
            lanes.take(read).unwrap();
            assert_eq!(lanes.first(0).unwrap().0.items.len(), 20);
            lanes.claimed(0, 20);
            assert_eq!((lanes.holding(), lanes.has_more(0)), (0, false));
        }
    }

    #[test]
    fn what_is_added_is_read_behind_what_is_at_hand_and_nothing_twice() {
        let (_folder, path) = journal(40);
        for stays in [false, true] {
            let mut lanes = Lanes { stays, ..Lanes::of(path.clone()) };
            lanes.put(FeedRange { campaign: 0, from: 1, limit_end: 6 });
            let mut claimed = Vec::new();
            for end in 7..=41 {
                lanes.read_on(&[0]).unwrap();
                // Some of it is at hand, or is being read.
                if end % 3 == 0 {
                    std::thread::sleep(Duration::from_millis(2));
                }
                while lanes.take_ready().unwrap().is_some() {}
                if let Some((chunk, at)) = lanes.first(0) {
                    claimed.push(chunk.items[at].message);
                    lanes.claimed(0, at + 1);
                }
                let from = claimed.last().map_or(1, |last| last + 1);
                lanes.extend(FeedRange { campaign: 0, from, limit_end: end });
            }
            claimed.extend(claim_all(&mut lanes, 3));
            assert_eq!(claimed, (1..=40).collect::<Vec<i64>>());
        }
    }
}
