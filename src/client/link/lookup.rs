//! Names as addresses. The system's resolver cannot be told to stop, so each name is looked up in a thread of its own, that
//! whoever asked may leave alone: the next to ask for the same name waits for the same answer.

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// Names that are looked up at a time; more are refused for the moment.
const LOOKUPS_MAX: usize = 32;

/// The addresses of a name, in the resolver's order and with port 0, or why there are none.
pub type Answer = Result<Vec<SocketAddr>, LookupError>;

/// Why a name has no address.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LookupError {
    /// There is no such name.
    #[error("there is no such name")]
    Unknown,
    /// The name is there, and has no address.
    #[error("the name has no address")]
    NoAddress,
    /// Nobody could be asked; what that says of the resolver.
    #[error("the name could not be looked up now ({})", .0.to_lowercase())]
    ResolverDown(String),
    /// The resolver did not answer in time.
    #[error("the resolver did not answer in time")]
    Late,
    /// Anything else that the system says.
    #[error("the name could not be looked up: {0}")]
    Other(String),
}

impl LookupError {
    /// What the C library said, in the words that std hands on: its codes it keeps to itself. Words that are none of the
    /// known libraries' stand for themselves.
    fn of(error: &io::Error) -> Self {
        let words = error.to_string();
        let words = words.rsplit_once("information: ").map_or(words.as_str(), |(_, words)| words);
        match words {
            // EAI_NONAME in glibc, musl, and the BSDs.
            "Name or service not known"
            | "Name does not resolve"
            | "nodename nor servname provided, or not known"
            | "hostname nor servname provided, or not known"
            | "Name could not be resolved at this time"
            | "node name or service name not known" => Self::Unknown,
            // EAI_NODATA, and musl's own.
            "No address associated with hostname"
            | "No address associated with name"
            | "Name has no usable address" => Self::NoAddress,
            // EAI_AGAIN and EAI_FAIL.
            "Temporary failure in name resolution"
            | "Try again"
            | "Non-recoverable failure in name resolution"
            | "Unrecoverable error"
            | "non-recoverable failure in name resolution" => Self::ResolverDown(words.into()),
            words => Self::Other(words.into()),
        }
    }
}

/// Who waits for which name. Each has a thread that looks it up.
static RUNNING: Mutex<BTreeMap<String, Vec<Sender<Answer>>>> = Mutex::new(BTreeMap::new());

/// Begins to look a host up; an address is its own answer.
pub fn look_up(host: &str) -> Receiver<Answer> {
    look_up_with(host, |host| {
        let find = |host: &str| (host, 0).to_socket_addrs().map(Vec::from_iter);
        match (find(host), host.strip_suffix('.')) {
            // With the dot at its end /etc/hosts does not know a name that stands there.
            (Err(error), Some(bare)) => find(bare).map_err(|_| error),
            (found, _) => found,
        }
    })
}

fn look_up_with(host: &str, resolve: fn(&str) -> io::Result<Vec<SocketAddr>>) -> Receiver<Answer> {
    let (sender, answer) = bounded(1);
    if let Ok(address) = host.parse::<IpAddr>() {
        let _ = sender.send(Ok(vec![SocketAddr::new(address, 0)]));
        return answer;
    }
    let mut running = RUNNING.lock();
    let is_full = running.len() >= LOOKUPS_MAX;
    if let Some(waiting) = running.get_mut(host) {
        waiting.push(sender);
    } else if is_full {
        let _ = sender.send(Err(LookupError::Other(format!("{LOOKUPS_MAX} others have not been answered yet"))));
    } else {
        let name = host.to_owned();
        let thread = std::thread::Builder::new().name("lookup".into()).spawn(move || {
            let found = resolve(&name).map_err(|error| LookupError::of(&error));
            let found = found.and_then(|found| if found.is_empty() { Err(LookupError::NoAddress) } else { Ok(found) });
            for waiting in RUNNING.lock().remove(&name).unwrap_or_default() {
                let _ = waiting.send(found.clone());
            }
        });
        match thread {
            Ok(_) => drop(running.insert(host.to_owned(), vec![sender])),
            Err(error) => drop(sender.send(Err(LookupError::Other(format!("no thread: {error}"))))),
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[test]
    fn an_address_is_its_own_answer() {
        for (host, address) in [("192.0.2.1", "192.0.2.1:0"), ("::1", "[::1]:0")] {
            assert_eq!(look_up(host).try_recv(), Ok(Ok(vec![address.parse().unwrap()])));
        }
    }

    #[test]
    fn a_name_with_a_dot_at_its_end_is_found_where_it_stands_without() {
        let answer = look_up("localhost.").recv_timeout(Duration::from_secs(60)).unwrap().unwrap();
        assert!(answer.iter().all(|address| address.ip().is_loopback()), "{answer:?}");
    }

    #[test]
    fn a_name_that_is_being_looked_up_is_not_looked_up_again() {
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        let resolve = |_: &str| {
            CALLS.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(300));
            Err(io::Error::other("failed to lookup address information: Try again"))
        };
        let first = look_up_with("twice.example", resolve);
        drop(first); // Left alone.
        let second = look_up_with("twice.example", resolve);
        let answer = second.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(answer, Err(LookupError::ResolverDown("Try again".into())));
        assert_eq!(CALLS.load(Ordering::Relaxed), 1);
        // Answered once, it is looked up anew.
        drop(look_up_with("twice.example", resolve).recv_timeout(Duration::from_secs(10)));
        assert_eq!(CALLS.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_resolver_that_is_down_is_no_misspelt_name() {
        for (words, expected) in [
            ("Name or service not known", "there is no such name"),
            ("Name does not resolve", "there is no such name"),
            ("No address associated with hostname", "the name has no address"),
            ("Temporary failure in name resolution", "the name could not be looked up now (temporary failure in"),
            ("something new", "the name could not be looked up: something new"),
        ] {
            let error = io::Error::other(format!("failed to lookup address information: {words}"));
            assert!(LookupError::of(&error).to_string().starts_with(expected), "{words}");
        }
    }
}
