//! Peers made of rusmpp and rusmppc: `interop-peer server`, `interop-peer client PORT FILE`. They tell what they see in lines of
//! JSON.

mod client;
mod server;
mod texts;

use std::error::Error;

pub type Anything<T> = Result<T, Box<dyn Error>>;

pub fn say(event: serde_json::Value) {
    println!("{event}");
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Anything<()> {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "server"] => server::run().await,
        [_, "client", port, file] => client::run(port, file).await,
        _ => Err("server, or client PORT FILE".into()),
    }
}
