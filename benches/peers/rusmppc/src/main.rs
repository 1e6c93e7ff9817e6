//! The campaign through rusmppc: `peer-rusmppc PORT CSV WINDOW`. Prints the seconds that it took.

use futures::StreamExt;
use rusmpp::CommandId;
use rusmpp::pdus::{BindTransceiver, DeliverSmResp, SubmitSm};
use rusmpp::types::{COctetString, OctetString};
use rusmpp::values::RegisteredDelivery;
use rusmppc::{ConnectionBuilder, Event};
use std::error::Error;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let rows = std::fs::read_to_string(&arguments[2])?;
    let rows: Vec<(String, String)> = rows
        .lines()
        .skip(1)
        .filter_map(|row| row.split_once(',').map(|(to, text)| (to.to_owned(), text.to_owned())))
        .collect();
    let window = Arc::new(Semaphore::new(arguments[3].parse()?));
    let address = format!("smpp://127.0.0.1:{}", arguments[1]);
    // rusmppc 0.4.0 looks at five requests at a time and then sleeps without asking to be woken for the rest: with a window
    // beyond that and nothing on its way from the peer it stands still for ever. Its timer wakes it.
    let (client, mut events) = ConnectionBuilder::new()
        .no_response_timeout()
        .enquire_link_interval(Duration::from_millis(1))
        .connect(address)
        .await?;
    let bind = BindTransceiver::builder()
        .system_id(COctetString::from_str("peer")?)
        .password(COctetString::from_str("secret")?)
        .build();
    client.bind_transceiver(bind).await?;
    let total = rows.len();
    let answering = client.clone();
    let started = Instant::now();
    let receipts = tokio::spawn(async move {
        let mut receipts = 0;
        while let Some(event) = events.next().await {
            if let Event::Incoming(command) = event
                && command.id() == CommandId::DeliverSm
            {
                let _ = answering.deliver_sm_resp(command.sequence_number(), DeliverSmResp::default()).await;
                receipts += 1;
                if receipts == total {
                    break;
                }
            }
        }
    });
    for (to, text) in rows {
        let slot = Arc::clone(&window).acquire_owned().await?;
        let client = client.clone();
        let submit = SubmitSm::builder()
            .destination_addr(COctetString::from_str(&to)?)
            .registered_delivery(RegisteredDelivery::request_all())
            .short_message(OctetString::from_str(&text)?)
            .build();
        tokio::spawn(async move {
            if let Err(error) = client.submit_sm(submit).await {
                eprintln!("{error}");
            }
            drop(slot);
        });
    }
    receipts.await?;
    println!("{}", started.elapsed().as_secs_f64());
    Ok(())
}
