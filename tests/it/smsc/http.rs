//! Requests to the control, written by hand.
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;
use smppost::smsc::{Settings, Smsc};

use super::client::PATIENCE;

/// A simulator with its control, changed.
pub fn controlled(change: impl FnOnce(&mut Settings)) -> (Smsc, SocketAddr) {
    let mut settings = Settings { control: Some("127.0.0.1:0".parse().unwrap()), ..Settings::for_tests() };
    change(&mut settings);
    let smsc = Smsc::start(settings).unwrap();
    let control = smsc.control_addr().unwrap();
    (smsc, control)
}

/// Sends a request, and gives the status and the body of its answer.
pub fn exchange(address: SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets).unwrap();
    let text = String::from_utf8(octets).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?} is no answer"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    (status, if is_chunked { unchunked(body) } else { body.to_owned() })
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        whole += &rest[..length];
        body = &rest[length + 2..];
        if length == 0 {
            break;
        }
    }
    whole
}

/// What is asked, answered with success.
pub fn get(address: SocketAddr, path: &str) -> Value {
    let (status, body) = exchange(address, "GET", path, "");
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// What is done, answered with success.
pub fn post(address: SocketAddr, path: &str, body: Value) -> Value {
    let (status, answer) = exchange(address, "POST", path, &body.to_string());
    assert!((200..300).contains(&status), "{path} {body}: {answer}");
    serde_json::from_str(&answer).unwrap()
}

/// What is refused, in words.
pub fn refused(address: SocketAddr, method: &str, path: &str, body: &str, status: u16) -> String {
    let (given, answer) = exchange(address, method, path, body);
    assert_eq!(given, status, "{method} {path} {body}: {answer}");
    serde_json::from_str::<Value>(&answer).unwrap()["error"].as_str().unwrap().to_owned()
}
