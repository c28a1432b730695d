//! What the example server acknowledged survives `kill -9`, and no input crashes the server.
//!
//! Clients play until the server is killed. The replies they received are then compared with the
//! state of the next server.

mod example;
mod zone;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Duration;
use zone::{Client, Zone};

/// The state of a player that a client was told: `None` after a logout, otherwise the position.
type Told = HashMap<u64, Option<u32>>;

/// Logs players in, moves them and logs some out, until the server is gone. A request without a
/// reply counts as unknown.
fn play(client: &mut Client, first: u64, told: &mut Told) {
    let mut ask = |uid: u64, command: String, after: Option<u32>| {
        told.remove(&uid);
        let reply = client.ask(&command)?;
        assert!(!reply.starts_with('-'), "{command}: {reply}");
        told.insert(uid, after);
        Some(())
    };
    for uid in first.. {
        let x = (uid * 7 % 1000) as u32;
        let steps = ask(uid, format!("LOGIN {uid}"), Some(0))
            .and_then(|()| ask(uid, format!("MOVE {uid} {x} {x}"), Some(x)))
            .and_then(|()| if uid % 3 == 0 { ask(uid, format!("LOGOUT {uid}"), None) } else { Some(()) });
        if steps.is_none() {
            return;
        }
    }
}

fn compare(client: &mut Client, told: &Told) {
    for (uid, state) in told {
        let shown = client.ask(&format!("SHOW {uid}")).unwrap();
        match state {
            None => assert_eq!(shown, format!("-NOPLAYER no such player: {uid}")),
            Some(x) => assert!(shown.contains(&format!("x {x} y {x} ")), "{uid} was moved to {x}: {shown}"),
        }
    }
}

#[test]
fn acknowledged_commands_survive_a_kill_under_load() {
    let mut zone = Zone::start();
    let mut told = Told::new();
    for round in 0..4u64 {
        let clients: Vec<_> = (0..4u64)
            .map(|number| {
                let mut client = zone.client();
                std::thread::spawn(move || {
                    let mut told = Told::new();
                    play(&mut client, (round * 4 + number) << 32, &mut told);
                    told
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(150 + 40 * round));
        zone.kill();
        let ready = zone.restart();
        assert!(ready.contains("hot start") && ready.contains("died while serving"), "{ready}");
        for client in clients {
            told.extend(client.join().unwrap());
        }
        compare(&mut zone.client(), &told);
    }
    assert!(told.len() > 1000, "only {} players", told.len());
}

#[test]
fn invalid_commands_are_answered_with_the_reason() {
    let zone = Zone::start();
    let mut client = zone.client();
    for (command, reply) in [
        ("PING", "+PONG"),
        ("ping hello", "hello"),
        ("LOGIN 7", ":1"),
        ("LOGIN 7", ":0"),
        ("HIT 7 30", ":70"),
        ("HIT 7 1000", ":0"),
        ("SPAWN 1000", ":1000"),
        ("COUNT monster", ":1000"),
        ("COUNT player", ":1"),
        ("COUNT pet", "-ERR no such type 'pet'"),
        ("SPAWN 1000000", "-ERR at most 10000 at once"),
        ("LOGIN", "-ERR wrong number of arguments for 'login' command"),
        ("LOGIN 1 2", "-ERR wrong number of arguments for 'login' command"),
        ("LOGIN -1", "-ERR value is not an integer or out of range"),
        ("LOGIN 18446744073709551616", "-ERR value is not an integer or out of range"),
        ("HIT 7 x", "-ERR value is not an integer or out of range"),
        ("MOVE 7 1 nan", "-ERR value is not a coordinate"),
        ("MOVE 8 1 1", "-NOPLAYER no such player: 8"),
        ("LOGOUT 8", "-NOPLAYER no such player: 8"),
        ("FLUSHALL", "-ERR unknown command 'FLUSHALL'"),
        ("CONFIG GET save", "save "),
    ] {
        assert_eq!(client.ask(command).as_deref(), Some(reply), "{command}");
    }
    client.send("\r\n*0\r\n  ping   inline \r\nSHOW 9\n").unwrap();
    assert_eq!(client.receive().as_deref(), Some("inline"));
    assert_eq!(client.receive().as_deref(), Some("-NOPLAYER no such player: 9"));
}

#[test]
fn a_malformed_frame_ends_its_client_and_no_other() {
    let zone = Zone::start();
    let mut bystander = zone.client();
    for (input, reply) in [
        (b"*1\r\n:5\r\n".to_vec(), "-ERR Protocol error: expected an array of bulk strings"),
        (b"*-1\r\n".to_vec(), "-ERR Protocol error: expected an array"),
        (b"*1\r\n$-7\r\n".to_vec(), "-ERR Protocol error: malformed frame"),
        (b"*x\r\n".to_vec(), "-ERR Protocol error: malformed frame"),
        (b"*1\r\n".repeat(5000), "-ERR Protocol error: command too long"),
        (b"*99999999999\r\n$1\r\n".repeat(1000), "-ERR Protocol error: "),
        ([b"*1\r\n$99999999\r\n".to_vec(), vec![b'x'; 100_000]].concat(), "-ERR Protocol error: "),
        (vec![b'x'; 1 << 20], "-ERR Protocol error: command too long"),
        (vec![0; 1 << 20], "-ERR Protocol error: command too long"),
    ] {
        let mut client = zone.client();
        client.send(&input).unwrap();
        let start = String::from_utf8_lossy(&input[..16.min(input.len())]).into_owned();
        let got = client.receive().unwrap_or_else(|| panic!("no reply to {start:?}"));
        assert!(got.starts_with(reply), "{start:?}: {got}");
        assert_eq!(client.receive(), None, "the client was kept");
        assert_eq!(bystander.ask("PING").as_deref(), Some("+PONG"));
    }
}

#[test]
fn random_bytes_do_not_crash_the_server() {
    let zone = Zone::start();
    let mut dice = fastrand::Rng::with_seed(7);
    for _ in 0..200 {
        let mut client = zone.client();
        let alphabet = b"*$:+-0123456789\r\n\r\nLOGIN ";
        let bytes: Vec<u8> = (0..dice.usize(1..20_000))
            .map(|_| if dice.bool() { dice.u8(..) } else { alphabet[dice.usize(..alphabet.len())] })
            .collect();
        // The server may close the connection before all bytes are sent.
        let _ = client.send(&bytes);
    }
    assert_eq!(zone.client().ask("PING").as_deref(), Some("+PONG"));
}

#[test]
fn frames_may_arrive_in_pieces_or_many_at_once() {
    let zone = Zone::start();
    let mut client = zone.client();
    for byte in b"*2\r\n$5\r\nLOGIN\r\n$2\r\n42\r\n" {
        client.send([*byte]).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(client.receive().as_deref(), Some(":1"));

    let uids = 1000..21_000u64;
    let mut writer = client.stream.get_ref().try_clone().unwrap();
    let commands: String = uids.clone().map(|uid| format!("LOGIN {uid}\r\n")).collect();
    let sender = std::thread::spawn(move || std::io::Write::write_all(&mut writer, commands.as_bytes()));
    for uid in uids {
        assert_eq!(client.receive().as_deref(), Some(":1"), "{uid}");
    }
    sender.join().unwrap().unwrap();
    assert_eq!(client.ask("COUNT player").as_deref(), Some(":20001"));
}

#[test]
fn a_client_that_does_not_read_is_disconnected() {
    let zone = Zone::start();
    let mut client = zone.client();
    let commands = "INFO\r\n".repeat(10_000);
    let cut_off = (0..1000).any(|_| client.send(&commands).is_err());
    assert!(cut_off, "the server buffers replies without a limit");
    assert_eq!(zone.client().ask("PING").as_deref(), Some("+PONG"));
}

#[test]
fn the_number_of_clients_is_limited_with_a_message() {
    let zone = Zone::start();
    let mut clients: Vec<Client> = Vec::new();
    let refusal = (0..600).find_map(|_| {
        let mut client = zone.client();
        match client.ask("PING") {
            Some(reply) if reply == "+PONG" => {
                clients.push(client);
                None
            }
            reply => Some(reply),
        }
    });
    // The client may miss the error: the kernel discards it if the client has sent more in the
    // meantime.
    let refusal = refusal.expect("the server has no limit");
    assert!(refusal.is_none_or(|said| said == "-ERR max number of clients reached"));
    drop(clients);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(zone.client().ask("PING").as_deref(), Some("+PONG"));
}

#[test]
fn a_terminated_server_closes_and_keeps_its_pool() {
    let mut zone = Zone::start();
    zone.client().ask("LOGIN 1").unwrap();
    assert_eq!(zone.terminate().code(), Some(0));
    let ready = zone.restart();
    assert!(ready.contains("closed cleanly"), "{ready}");

    assert_eq!(zone.client().ask("QUITKEEP").as_deref(), Some("+OK"));
    assert_eq!(zone.wait().code(), Some(0));
    let ready = zone.restart();
    assert!(ready.contains("closed cleanly") && ready.contains("1 player"), "{ready}");
}

#[test]
fn a_start_on_a_port_in_use_leaves_the_pool_unchanged() {
    let mut zone = Zone::start();
    zone.client().ask("LOGIN 1").unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    zone.kill();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = zone.command(&address);
    let failed = command.args(["--listen-wait-ms", "50"]).stderr(Stdio::piped()).output().unwrap();
    assert!(!failed.status.success());
    assert!(String::from_utf8_lossy(&failed.stderr).contains("cannot listen on"));
    let ready = zone.restart();
    assert!(ready.contains("1 player") && ready.contains("before it was ready"), "{ready}");
}

#[test]
fn a_start_waits_for_the_port_of_its_dead_predecessor() {
    let mut zone = Zone::start();
    zone.client().ask("LOGIN 1").unwrap();
    zone.kill();
    // Keep the port in use until the server has noticed, as the kernel may do after a death.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = zone.command(&address);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let line = |stream: &mut dyn std::io::Read| {
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).map(|_| line)
    };
    let said = line(child.stderr.as_mut().unwrap());
    drop(taken);
    let ready = line(child.stdout.as_mut().unwrap());
    child.kill().unwrap();
    child.wait().unwrap();
    let (said, ready) = (said.unwrap(), ready.unwrap());
    assert_eq!(said, format!("{address} is in use; retrying for 5000 ms\n"));
    assert!(ready.starts_with(&format!("ready on {address};")) && ready.contains("1 player"), "{ready}");
}

#[test]
fn a_unix_socket_works_even_after_a_kill() {
    let mut zone = Zone::start();
    zone.kill();
    let path = zone.path("zone.sock");
    for _ in 0..2 {
        let mut child = zone.command(path.to_str().unwrap()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = [0; 8];
        child.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
        let answer = ask_unix(&path);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(answer.unwrap(), *b"+PONG\r\n");
    }
}

fn ask_unix(path: &std::path::Path) -> std::io::Result<[u8; 7]> {
    let mut stream = std::os::unix::net::UnixStream::connect(path)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    std::io::Write::write_all(&mut stream, b"PING\r\n")?;
    let mut reply = [0; 7];
    stream.read_exact(&mut reply)?;
    Ok(reply)
}
