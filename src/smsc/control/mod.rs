//! The control over HTTP: what came, what is to come, and what goes wrong, for tests in any language. `openapi.json` beside this
//! file describes it, and is served with it.

mod query;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::behaviour::with_change;
use super::desk;
use super::inbound::Inbound;
use super::shared::{Alert, OutbindTo, Shared, Which};
use super::{Change, SmscError};
use crate::http::{Answer, Request, Server};
use crate::words::trouble;
use query::{Asked, LIMIT_MAX, WAIT_MAX};

/// How often one who waits for something else than messages looks.
const LOOK: Duration = Duration::from_millis(10);

/// Paths with the method that each has: what can be asked (also with HEAD), and what can be done.
const ROUTES: [(&str, &str); 24] = [
    ("GET", "/"),
    ("GET", "/page.css"),
    ("GET", "/page.js"),
    ("GET", "/openapi.json"),
    ("GET", "/healthz"),
    ("GET", "/stats"),
    ("GET", "/sessions"),
    ("GET", "/messages"),
    ("GET", "/inbound"),
    ("GET", "/wait"),
    ("GET", "/behaviour"),
    ("GET", "/faults"),
    ("GET", "/limits"),
    ("GET", "/outcomes"),
    ("POST", "/inbound"),
    ("POST", "/behaviour"),
    ("POST", "/faults"),
    ("POST", "/limits"),
    ("POST", "/outcomes"),
    ("POST", "/drop"),
    ("POST", "/unbind"),
    ("POST", "/outbind"),
    ("POST", "/alert"),
    ("POST", "/reset"),
];

/// What each of the narrower paths may change.
const CHANGES: [(&str, &[&str]); 3] = [
    ("/faults", &["faults", "receipts"]),
    ("/limits", &["rate", "rate_tolerance", "limits", "congestion"]),
    ("/outcomes", &["outcomes", "rules", "receipts", "receipt_delay", "answer_delay"]),
];

with_change! {
    /// A change, of all accounts or one.
    struct ChangeOf {
        system_id: Option<String>,
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Chosen {
    session: Option<Which>,
    /// An account, also one whose name is a number or `all`.
    system_id: Option<String>,
}

/// The control of a simulator, until it is dropped.
#[derive(Debug)]
pub(super) struct Control {
    server: Server,
}

impl Control {
    pub(super) fn start(shared: &Arc<Shared>, listen: SocketAddr, smsc: SocketAddr) -> Result<Control, SmscError> {
        // The simulator owns its control, and not the other way round.
        let known: Weak<Shared> = Arc::downgrade(shared);
        let answer = move |request: &Request| match known.upgrade() {
            Some(shared) => handle(&shared, smsc, request).unwrap_or_else(|refused| refused),
            None => Answer::error(503, "the simulator has ended"),
        };
        let server = Server::start(listen, shared.settings.control_hosts.clone(), answer)
            .map_err(|error: io::Error| SmscError::Control { listen, reason: trouble::words(&error) })?;
        Ok(Control { server })
    }

    pub(super) fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }
}

fn wrong(words: impl Into<String>) -> Answer {
    Answer::error(400, words)
}

/// What a request comes to, or why it comes to nothing.
fn handle(shared: &Arc<Shared>, smsc: SocketAddr, request: &Request) -> Result<Answer, Answer> {
    let method = if request.is_post { "POST" } else { "GET" };
    let path = &*request.path;
    if !ROUTES.contains(&(method, path)) {
        return Err(match ROUTES.iter().find(|(_, known)| *known == path) {
            Some((other, _)) => Answer::error(405, format!("{path} is for {other}")),
            None => Answer::error(404, format!("there is no {path}; /openapi.json lists what there is")),
        });
    }
    if request.is_post {
        return act(shared, request);
    }
    let asked = || Asked::read(path, &request.query).map_err(wrong);
    if !matches!(path, "/messages" | "/inbound" | "/wait") && !request.query.is_empty() {
        return Err(wrong(format!("{path} has no parameters")));
    }
    Ok(match path {
        "/" => Answer::file("text/html; charset=utf-8", include_str!("page.html")),
        "/page.css" => Answer::file("text/css; charset=utf-8", include_str!("page.css")),
        "/page.js" => Answer::file("text/javascript; charset=utf-8", include_str!("page.js")),
        "/openapi.json" => Answer::file("application/json", include_str!("openapi.json")),
        "/healthz" => Answer::json(200, &json!({ "listening": smsc.to_string() })),
        "/stats" => Answer::json(200, &shared.stats()),
        "/sessions" => Answer::json(200, &json!({ "sessions": shared.session_infos() })),
        "/messages" => {
            let asked = asked()?;
            asked.only_messages().map_err(wrong)?;
            let history = shared.history.as_ref();
            let most = asked.limit.unwrap_or(100).min(LIMIT_MAX);
            let found =
                history.map_or_else(Vec::new, |history| history.find(&asked.filter, most, shared.started.elapsed()));
            Answer::json(200, &json!({ "messages": found }))
        }
        "/inbound" => {
            let asked = asked()?;
            asked.only_inbound().map_err(wrong)?;
            let state = asked.inbound_state().map_err(wrong)?;
            let messages = shared.desk.messages(asked.filter.after, state, asked.limit.unwrap_or(100).min(LIMIT_MAX));
            Answer::json(200, &json!({ "inbound": messages, "waiting_for_a_session": shared.desk.waiting() }))
        }
        "/wait" => wait(shared, &asked()?)?,
        _ => behaviour(shared),
    })
}

/// How all accounts are treated, and those that are treated otherwise.
fn behaviour(shared: &Shared) -> Answer {
    let (base, accounts) = shared.behaviours.shown();
    let accounts: serde_json::Map<String, Value> =
        accounts.into_iter().map(|(system_id, shown)| (system_id, json!(shown))).collect();
    Answer::json(200, &json!({ "all": base, "accounts": accounts }))
}

/// Waits until there is enough of something.
fn wait(shared: &Shared, asked: &Asked) -> Result<Answer, Answer> {
    let timeout = asked.timeout.unwrap_or(Duration::from_secs(30)).min(WAIT_MAX);
    let wanted = asked.count.unwrap_or(1);
    let until = Instant::now() + timeout;
    let is_over = || shared.stopping.load(Ordering::SeqCst);
    let poll = |count: &dyn Fn() -> usize| loop {
        let found = count();
        if found >= wanted || Instant::now() >= until || is_over() {
            return (found, found >= wanted);
        }
        std::thread::sleep(LOOK);
    };
    let at_most = |most: usize, how: &str| match wanted > most {
        true => Err(wrong(format!("count={wanted}: no more than the latest {most} are remembered{how}"))),
        false => Ok(()),
    };
    let (found, is_enough) = match asked.of.as_deref() {
        None | Some("messages") => {
            asked.only_messages().map_err(wrong)?;
            at_most(shared.settings.remember, ": start it with a larger --keep-messages")?;
            match &shared.history {
                Some(history) => history.wait(&asked.filter, wanted, until, shared.started, &is_over),
                None => (0, false),
            }
        }
        Some("inbound") => {
            asked.only_inbound().map_err(wrong)?;
            let state = asked.inbound_state().map_err(wrong)?;
            at_most(desk::REMEMBERED_MAX, "")?;
            poll(&|| shared.desk.count(asked.filter.after, state))
        }
        Some("sessions") => {
            asked.only_sessions().map_err(wrong)?;
            let system_id = asked.filter.system_id.as_ref();
            let fits =
                |own: &Option<String>| own.is_some() && system_id.is_none_or(|wanted| own.as_ref() == Some(wanted));
            poll(&|| shared.session_infos().iter().filter(|session| fits(&session.system_id)).count())
        }
        Some(other) => return Err(wrong(format!("of={other:?} is none of messages, inbound, sessions"))),
    };
    if is_enough {
        return Ok(Answer::json(200, &json!({ "count": found })));
    }
    let words = format!("{found} of {wanted} in {timeout:?}");
    Ok(Answer::json(408, &json!({ "error": words, "count": found, "wanted": wanted })))
}

/// Does something.
fn act(shared: &Arc<Shared>, request: &Request) -> Result<Answer, Answer> {
    let done = |count: usize| Answer::json(200, &json!({ "sessions": count }));
    Ok(match &*request.path {
        "/inbound" => {
            let ids = match body::<OneOrMany>(request)? {
                OneOrMany::One(inbound) => shared.inbound(&inbound).map_err(wrong)?,
                OneOrMany::Many(all) => {
                    shared.inbound_all(&all).map_err(|(nth, reason)| wrong(format!("message {}: {reason}", nth + 1)))?
                }
            };
            Answer::json(201, &json!({ "ids": ids }))
        }
        "/drop" => done(shared.cut(&chosen(request)?)),
        "/unbind" => done(shared.unbind(&chosen(request)?)),
        "/outbind" => {
            shared.outbind(&body::<OutbindTo>(request)?).map_err(|reason| Answer::error(502, reason))?;
            done(1)
        }
        "/alert" => done(shared.alert(&body::<Alert>(request)?).map_err(wrong)?),
        "/reset" => {
            shared.reset();
            Answer::json(200, &json!({}))
        }
        path => {
            check_keys(path, &request.body)?;
            let change: ChangeOf = body(request)?;
            if change.change() == Change::default() {
                return Err(wrong("it changes nothing; /openapi.json lists what can be changed"));
            }
            shared.check_account(change.system_id.as_deref()).map_err(wrong)?;
            shared.change(change.system_id.as_deref(), &change.change());
            behaviour(shared)
        }
    })
}

/// One message, or a list of them.
enum OneOrMany {
    One(Box<Inbound>),
    Many(Vec<Inbound>),
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let read = if value.is_array() {
            serde_json::from_value(value).map(OneOrMany::Many)
        } else {
            serde_json::from_value(value).map(|one| OneOrMany::One(Box::new(one)))
        };
        read.map_err(serde::de::Error::custom)
    }
}

fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Answer> {
    if !request.query.is_empty() {
        return Err(wrong(format!("POST {} takes JSON, and no parameters", request.path)));
    }
    serde_json::from_slice(&request.body).map_err(|error| wrong(format!("the JSON: {error}")))
}

/// The sessions that are meant: as a parameter, in JSON, or all where nothing is said.
fn chosen(request: &Request) -> Result<Which, Answer> {
    match &request.query[..] {
        [] if request.body.iter().all(u8::is_ascii_whitespace) => Ok(Which::All),
        [] => match body::<Chosen>(request)? {
            Chosen { session: Some(_), system_id: Some(_) } => Err(wrong("either session or system_id says which")),
            Chosen { session: None, system_id: Some(system_id) } => Ok(Which::Account(system_id)),
            Chosen { session, system_id: None } => Ok(session.unwrap_or_default()),
        },
        [(name, which)] if name == "session" && request.body.is_empty() => which.parse().map_err(wrong),
        [(name, system_id)] if name == "system_id" && request.body.is_empty() => Ok(Which::Account(system_id.clone())),
        _ => Err(wrong("there is one parameter: session (a number, a system_id, or all), or system_id")),
    }
}

/// Refuses keys that are another path's, with its name.
fn check_keys(path: &str, body: &[u8]) -> Result<(), Answer> {
    let Some((_, own)) = CHANGES.iter().find(|(known, _)| *known == path) else { return Ok(()) };
    let Ok(Value::Object(keys)) = serde_json::from_slice(body) else { return Ok(()) };
    for key in keys.keys().filter(|key| *key != "system_id" && !own.contains(&key.as_str())) {
        if let Some((other, _)) = CHANGES.iter().find(|(_, keys)| keys.contains(&key.as_str())) {
            return Err(wrong(format!("{key} is for {other}, or for /behaviour, which takes all")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// All that the file describes: `GET /stats`.
    fn described() -> BTreeSet<String> {
        let file: Value = serde_json::from_str(include_str!("openapi.json")).unwrap();
        let paths = file["paths"].as_object().unwrap();
        let methods = |(path, methods): (&String, &Value)| -> Vec<String> {
            methods.as_object().unwrap().keys().map(|method| format!("{} {path}", method.to_uppercase())).collect()
        };
        paths.iter().flat_map(methods).collect()
    }

    #[test]
    fn the_description_has_every_path_and_no_other() {
        let of_page = ["/", "/page.css", "/page.js"];
        let routes = ROUTES.iter().filter(|(_, path)| !of_page.contains(path));
        let routes: BTreeSet<String> = routes.map(|(method, path)| format!("{method} {path}")).collect();
        assert_eq!(described(), routes);
    }

    #[test]
    fn the_description_has_every_key() {
        let file: Value = serde_json::from_str(include_str!("openapi.json")).unwrap();
        let keys = |schema: &str| -> BTreeSet<String> {
            let properties = &file["components"]["schemas"][schema]["properties"];
            properties.as_object().unwrap().keys().cloned().collect()
        };
        // serde says what keys there are where it meets one that is not.
        let known = |error: serde_json::Error| -> BTreeSet<String> {
            let words = error.to_string();
            let listed = words.split_once("expected one of ").unwrap().1.split(" at line").next().unwrap();
            listed.split(", ").map(|key| key.trim_matches('`').to_owned()).collect()
        };
        let none = r#"{"no such key": 1}"#;
        assert_eq!(keys("Inbound"), known(serde_json::from_str::<Inbound>(none).unwrap_err()));
        assert_eq!(keys("Change"), known(serde_json::from_str::<ChangeOf>(none).unwrap_err()));
        assert_eq!(keys("Outbind"), known(serde_json::from_str::<OutbindTo>(none).unwrap_err()));
        assert_eq!(keys("Alert"), known(serde_json::from_str::<Alert>(none).unwrap_err()));
        let shown = |value: Value| -> BTreeSet<String> { value.as_object().unwrap().keys().cloned().collect() };
        assert_eq!(keys("Stats"), shown(json!(crate::smsc::Stats::default())));
        let message = crate::smsc::Message {
            id: 1,
            time: String::new(),
            session: 1,
            system_id: String::new(),
            peer: String::new(),
            version: String::new(),
            command: String::new(),
            sequence_number: 1,
            status: 0,
            status_name: String::new(),
            refused_for: None,
            message_id: None,
            state: String::new(),
            receipt: Default::default(),
            fields: Default::default(),
            joined: None,
        };
        assert_eq!(keys("Message"), shown(json!(message)));
    }
}
