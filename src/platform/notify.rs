//! What systemd is told of a service (sd_notify(3)): one datagram to the socket that `NOTIFY_SOCKET` names. Where there is none,
//! nothing; what fails is of no consequence.

#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// It has begun: commands are heard.
pub fn ready() {
    tell("READY=1");
}

/// It ends.
pub fn stopping() {
    tell("STOPPING=1");
}

/// How it stands, in one line.
pub fn status(words: &str) {
    tell(&format!("STATUS={}", words.replace('\n', " ")));
}

fn tell(words: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET").and_then(|name| name.into_string().ok()) else { return };
    let address = match socket.strip_prefix('@') {
        // A name that is in no folder is Linux's alone, and so is systemd.
        #[cfg(target_os = "linux")]
        Some(name) => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(&socket),
    };
    let told = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(words.as_bytes(), &address));
    if let Err(error) = told {
        log::debug!("systemd is not told: {error}");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn without_a_socket_nothing_is_told() {
        super::status("at\nwork");
    }
}
