//! The file is read on a thread of its own while this one stores what came before.

use super::batch::Batch;
use crate::import::{Facts, ImportError, RowReader};
use crate::journal::JournalError;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::io::{self, Read};
use std::thread;

/// Batches between the two threads: enough that neither waits for the other's hiccups, such as a checkpoint.
const BATCHES: usize = 16;

/// Why a file did not get into the journal.
#[derive(Debug)]
pub enum TransferError {
    /// The file.
    Read(ImportError),
    /// The journal.
    Journal(JournalError),
}

/// Reads the whole file and hands it to `store`, batch by batch, in its order. Returns the file's digest and what was found out
/// about it, once all of it was
/// stored. `from` is the campaign's sender.
pub fn transfer<R: Read + Send>(
    reader: RowReader<R>,
    from: &str,
    mut store: impl FnMut(&Batch) -> Result<(), JournalError>,
) -> Result<([u8; 32], Facts), TransferError> {
    let (full, to_store) = bounded(BATCHES);
    let (empty, to_fill) = bounded(BATCHES);
    thread::scope(|scope| {
        let reading = thread::Builder::new()
            .name("csv".into())
            .spawn_scoped(scope, move || read(reader, from, &full, &to_fill))
            .map_err(|error| TransferError::Read(ImportError::Io(error)))?;
        let stored = to_store.iter().try_for_each(|mut batch: Batch| {
            store(&batch)?;
            batch.clear();
            // There may be one more than there is room for.
            let _ = empty.try_send(batch);
            Ok(())
        });
        // Ends the reading, where it has not ended by itself.
        drop(to_store);
        let read = reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        stored.map_err(TransferError::Journal)?;
        match read.map_err(TransferError::Read)? {
            Some(read) => Ok(read),
            None => Err(TransferError::Read(ImportError::Io(io::ErrorKind::UnexpectedEof.into()))),
        }
    })
}

/// Reads until the end, or until nobody takes what is read; returns the file's digest and what was found out about it.
fn read<R: Read>(
    mut reader: RowReader<R>,
    from: &str,
    full: &Sender<Batch>,
    to_fill: &Receiver<Batch>,
) -> Result<Option<([u8; 32], Facts)>, ImportError> {
    let mut batch = Batch::default();
    while let Some(event) = reader.next()? {
        batch.note(&event, from);
        if batch.is_full() {
            batch.octets = reader.octets();
            if full.send(batch).is_err() {
                return Ok(None);
            }
            batch = to_fill.try_recv().unwrap_or_default();
        }
    }
    batch.octets = reader.octets();
    if !batch.is_empty() && full.send(batch).is_err() {
        return Ok(None);
    }
    Ok(reader.digest().map(|digest| (digest, reader.facts())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::Settings;
    use crate::journal::store::intake::Kept;
    use std::fmt::Write;

    fn file(rows: usize) -> String {
        let mut file = "to,text\n".to_owned();
        for row in 0..rows {
            writeln!(file, "{},x", 447_700_000_000 + row as u64).unwrap();
        }
        file
    }

    fn open(file: &str) -> RowReader<&[u8]> {
        RowReader::open(file.as_bytes(), Settings::default()).unwrap()
    }

    #[test]
    fn all_rows_arrive_in_their_order() {
        let file = file(100_000);
        let mut lines = 1;
        let digest = transfer(open(&file), "", |batch| {
            for row in batch.kept() {
                lines += 1;
                assert!(matches!(row, Kept::Message(message) if message.line == lines));
            }
            Ok(())
        });
        assert_eq!(digest.unwrap().0, crate::import::digest_of(file.as_bytes()).unwrap());
        assert_eq!(lines, 100_001);
    }

    #[test]
    fn an_error_on_either_side_ends_both() {
        let file = file(100_000);
        let mut batches = 0;
        let outcome = transfer(open(&file), "", |_| {
            batches += 1;
            if batches == 3 { Err(JournalError::Inconsistent("no".into())) } else { Ok(()) }
        });
        assert!(matches!(outcome, Err(TransferError::Journal(JournalError::Inconsistent(_)))));
        assert_eq!(batches, 3);
        let torn = file + "447700900001,\"x\n";
        let outcome = transfer(open(&torn), "", |_| Ok(()));
        assert!(matches!(outcome, Err(TransferError::Read(ImportError::UnclosedQuote { line: 100_002 }))));
    }
}
