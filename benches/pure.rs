//! What is pure: the codec, receipts, texts, the file's rows, the token bucket. No socket, no disk.

// Whatever goes wrong ends a benchmark, with its words. criterion's macro documents nothing.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use smppost::testing::import::{Event, RowReader, Settings, TextSource};
use smppost::testing::message::text::{Encoder, Policy, Reference, segment};
use smppost::testing::policy::bucket::Bucket;
use smppost::wire::values::esm_class;
use smppost::wire::{
    Address, CommandStatus, FrameBuffer, MessageId, Pdu, Receipt, Sm, Tlvs, decode, decode_message_id, encode,
};
use std::hint::black_box;

const TEXT: &str = "Your parcel 0000000042 comes today between 10 and 12. Thank you.";
const RECEIPT: &[u8] =
    b"id:0195f3c2 sub:001 dlvrd:001 submit date:2611230622 done date:2611230623 stat:DELIVRD err:000 text:Your parcel";

fn sm(text: &[u8]) -> Sm<'_> {
    Sm {
        source: Address::new(5, 0, b"ACME"),
        destination: Address::new(1, 1, b"447700900001"),
        registered_delivery: 1,
        short_message: text,
        ..Sm::default()
    }
}

fn wire(c: &mut Criterion) {
    let mut group = c.benchmark_group("wire");
    group.throughput(Throughput::Elements(1));
    let submit = Pdu::SubmitSm(sm(TEXT.as_bytes()));
    let mut out = Vec::with_capacity(256);
    group.bench_function("encode_submit_sm", |b| {
        b.iter(|| {
            out.clear();
            encode(black_box(&submit), 7, CommandStatus::OK, &mut out).unwrap();
        });
    });
    let mut answer = Vec::new();
    let pdu = Pdu::SubmitSmResp(MessageId { message_id: b"0195f3c2", tlvs: Tlvs(&[]) });
    encode(&pdu, 7, CommandStatus::OK, &mut answer).unwrap();
    group.bench_function("decode_submit_sm_resp", |b| b.iter(|| decode_message_id(black_box(&answer)).len()));
    let mut deliver = Vec::new();
    let receipt = Sm { esm_class: esm_class::TYPE_RECEIPT, ..sm(RECEIPT) };
    encode(&Pdu::DeliverSm(receipt), 7, CommandStatus::OK, &mut deliver).unwrap();
    group.bench_function("decode_deliver_sm", |b| b.iter(|| decode(black_box(&deliver)).is_ok()));
    group.bench_function("read_receipt", |b| {
        b.iter(|| {
            Receipt::of(esm_class::TYPE_RECEIPT, black_box(RECEIPT), Tlvs(&[])).and_then(|receipt| receipt.state())
        });
    });
    let stream: Vec<u8> = answer.iter().copied().cycle().take(answer.len() * 1_000).collect();
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("frame_1000_answers", |b| {
        let mut frames = FrameBuffer::new();
        b.iter(|| {
            let (mut rest, mut count) = (&stream[..], 0);
            while !rest.is_empty() {
                let spare = frames.spare();
                let n = spare.len().min(rest.len());
                spare[..n].copy_from_slice(&rest[..n]);
                frames.filled(n);
                rest = &rest[n..];
                while let Some(frame) = frames.next_frame().unwrap() {
                    count += frame.len();
                }
            }
            count
        });
    });
    group.finish();
}

fn text(c: &mut Criterion) {
    let mut group = c.benchmark_group("text");
    let long = TEXT.repeat(5);
    let texts = [
        ("gsm7", TEXT),
        ("gsm7_extended", "Price: 20€ [net] {gross} ~5% ^up^ \\o/ |done| Thank you!"),
        ("ucs2", "Ваша посылка 0000000042 придёт сегодня с 10 до 12. Спасибо."),
        ("gsm7_three_parts", &long),
    ];
    for (name, text) in texts {
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("segment_{name}"), |b| b.iter(|| segment(black_box(text), Policy::default())));
        let encoding = segment(text, Policy::default()).unwrap().encoding;
        let mut out = Vec::with_capacity(1_024);
        group.bench_function(format!("encode_{name}"), |b| {
            b.iter(|| {
                out.clear();
                let mut encoder = Encoder::new(black_box(text), encoding, Reference::Bits8(7)).unwrap();
                while encoder.next_into(&mut out).is_some() {}
            });
        });
    }
    group.finish();
}

fn csv(c: &mut Criterion) {
    let mut group = c.benchmark_group("csv");
    let mut file = String::from("to,text\n");
    for n in 0..10_000 {
        file += &format!("{},{TEXT}\n", 447_700_000_000u64 + n);
    }
    let quoted = file.replace("Your parcel", "\"Your \"\"parcel\"\",").replace("Thank you.", "Thank you.\"");
    let mut named = String::from("to,name,code\n");
    for n in 0..10_000 {
        named += &format!("{},Ann,{}\n", 447_700_000_000u64 + n, 100_000 + n);
    }
    let template = TextSource::Template("Hi {name}, your code is {code}. It is valid for ten minutes.".into());
    let filled = Settings { text: template, ..Settings::default() };
    group.throughput(Throughput::Elements(10_000));
    for (name, file, settings) in [
        ("read_10000_rows", &file, Settings::default()),
        ("read_10000_quoted_rows", &quoted, Settings::default()),
        ("read_10000_template_rows", &named, filled),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut reader = RowReader::open(file.as_bytes(), settings.clone()).unwrap();
                let mut rows = 0;
                while let Some(event) = reader.next().unwrap() {
                    rows += u32::from(matches!(event, Event::Row(_)));
                }
                assert_eq!(rows, 10_000);
            });
        });
    }
    group.finish();
}

fn bucket(c: &mut Criterion) {
    let mut group = c.benchmark_group("bucket");
    group.throughput(Throughput::Elements(1));
    for rate in [30.0, 5_000.0] {
        let mut now = 0.0;
        let mut bucket = Bucket::new(now, 0.0);
        group.bench_function(format!("take_at_{rate}"), |b| {
            b.iter(|| {
                now += bucket.ready_in(now, Some(rate), 0) + 1e-6;
                bucket.take(now, Some(rate), 10, 0)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, wire, text, csv, bucket);
criterion_main!(benches);
