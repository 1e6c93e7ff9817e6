//! docs/simulator.md does as it says: its examples are run as they stand there, against a simulator.

use crate::common::{Smppost, skipped};
use crate::readme::{blocks, document};
use crate::simulator::Simulator;
use crate::simulator_more::{control_of, read_when_there};
use crate::smsc::http::{get, post};
use serde_json::json;
use std::io::{Read, Write};
use std::process::Command;

fn page(language: &str) -> Vec<String> {
    blocks(&document("docs/simulator.md"), language)
}

/// Whether a program can be run here.
fn is_there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        skipped(&format!("the examples for {program}: it is not here"));
    }
    found
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {said}");
}

#[test]
fn commands_and_files_are_taken() {
    let smppost = Smppost::new();
    smppost.file("scenario.toml", &page("toml")[0]);
    smppost.file("from.csv", &page("csv")[0]);
    let short = ["smsc", "--port", "0", "--for", "50ms"];
    smppost.run(&[&short[..], &["--scenario", "scenario.toml"]].concat()).assert_code(0);
    smppost.run(&[&short[..], &["--inbound", "from.csv"]].concat()).assert_code(0);
    let mut count = 0;
    for block in page("sh").iter().filter(|block| block.starts_with("smppost smsc")) {
        let line = block.replace("\\\n", " ").replace("2775", "0").replace("2780", "0");
        let program = env!("CARGO_BIN_EXE_smppost");
        let line = line.trim().replacen("smppost", program, 1) + " --port 0 --for 50ms";
        let line = line.replacen("--port 0 --rate", "--rate", 1);
        run(Command::new("sh").args(["-c", &line]).env_remove("SMPPOST_JOURNAL"));
        count += 1;
    }
    assert_eq!(count, 2);
}

#[test]
fn it_starts_in_a_container_and_in_ci_as_it_is_written() {
    let smppost = Smppost::new();
    let dockerfile = &page("dockerfile")[0];
    let words = |name: &str| -> Vec<String> {
        let line = dockerfile.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        serde_json::from_str(line).unwrap()
    };
    let command = [words("ENTRYPOINT "), words("CMD ")].concat();
    assert_eq!(command[0], "smppost");
    let arguments: Vec<String> =
        command[1..].iter().map(|word| word.replace("2775", "0").replace("2780", "0")).collect();
    let arguments: Vec<&str> =
        arguments.iter().map(String::as_str).chain(["--port-file", "ports", "--for", "60s"]).collect();
    let running = smppost.spawn(&arguments);
    let ports = read_when_there(&smppost, "ports");
    // As other containers name it.
    let control = control_of(&ports);
    let mut stream = std::net::TcpStream::connect(control).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: smsc:2780\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // It is the first process of its container, and is stopped by this signal.
    running.signal("TERM");
    running.wait().assert_code(0);
    let steps = page("yaml");
    let step: String = steps[0]
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .map(|line| line.replacen("smppost", env!("CARGO_BIN_EXE_smppost"), 1) + "\n")
        .collect();
    let step = step.replace("2775", "0").replace("2780", "0");
    assert!(step.contains("--control 0") && step.contains("--port-file smsc.ports"), "{step}");
    let script = format!("set -e\n{step}\ngrep -q CONTROL_PORT smsc.ports\nkill $!\n");
    run(Command::new("sh").args(["-c", &script]).current_dir(smppost.path("")).env_remove("SMPPOST_JOURNAL"));
    assert!(steps[1].contains("/healthz") && steps[1].contains("services:"), "{}", steps[1]);
}

#[test]
fn examples_in_four_languages_control_it() {
    let smppost = Smppost::new();
    let simulator = Simulator::start(&smppost, &["--control", "0"]);
    let control = simulator.control.unwrap();
    let here = |code: &str| code.replace("localhost:2780", &format!("localhost:{}", control.port()));
    simulator.send(&smppost, 2, &[]).assert_code(0);
    if is_there("curl") {
        let blocks = page("sh");
        let lines: Vec<&str> =
            blocks.iter().flat_map(|block| block.lines()).filter(|line| line.starts_with("curl ")).collect();
        assert_eq!(lines.len(), 6);
        for line in lines {
            let line = here(line.split(" | jq").next().unwrap()).replacen("curl ", "curl -sSf ", 1);
            run(Command::new("sh").args(["-c", &line]));
        }
        assert_eq!(get(control, "/behaviour")["all"]["faults"], json!(["silence=100", "reorder"]));
    }
    post(control, "/reset", json!({}));
    if is_there("python3") {
        smppost.file("one.csv", "to,text\n447700900001,Hello\n");
        let port = simulator.port.clone();
        let arguments = smppost.send_arguments("one.csv", &port, &["--campaign", "one"]);
        let program = env!("CARGO_BIN_EXE_smppost");
        // In place of the client under test.
        let client = format!("__import__('subprocess').run({:?} + {arguments:?})", [program]);
        let code = here(&page("python")[0]);
        let code: String = code
            .lines()
            .map(|line| if line.starts_with("# …") { client.as_str() } else { line }.to_owned() + "\n")
            .collect();
        assert!(code.contains("subprocess"));
        let mut command = Command::new("python3");
        command.args(["-c", &code]).current_dir(smppost.path(".")).env("SMPPOST_PASSWORD", "x");
        run(command.env("SMPPOST_JOURNAL", smppost.path("python.db")).env("HOME", smppost.path(".")));
        post(control, "/reset", json!({}));
    }
    if is_there("node") {
        let listening = smppost.spawn(&[&["listen"][..], &simulator.account()].concat());
        get(control, "/wait?of=sessions&system_id=test&timeout=20s");
        run(Command::new("node").args(["--input-type=module", "-e", &here(&page("js")[0])]));
        listening.signal("INT");
        listening.wait();
    }
    if is_there("java") {
        let code = format!(
            "public class Example {{ public static void main(String[] none) throws Exception {{ {} }} }}",
            here(&page("java")[0])
        );
        let file = smppost.file("Example.java", code);
        run(Command::new("java").arg(file).env("TMPDIR", smppost.path(".")));
        assert_eq!(get(control, "/faults")["all"]["faults"], json!(["silence=100"]));
    }
    simulator.end();
}
