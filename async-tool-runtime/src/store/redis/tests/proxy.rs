//! Something between a store and its server that changes what is said.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// What is replaced: in one read, since messages are small.
type Replace = (&'static [u8], &'static [u8]);

#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) asked: Vec<Replace>,
    pub(super) answered: Vec<Replace>,
    /// The next answer to a call does not come, and neither does anything
    /// after it.
    pub(super) cut: AtomicBool,
}

/// The port that leads to this one by the rules.
pub(super) fn start(to: u16, rules: &Arc<Rules>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    let rules = Arc::clone(rules);
    // They end with the process of the tests.
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(client), Ok(server)) = (client, TcpStream::connect((Ipv4Addr::LOCALHOST, to)))
            else {
                return;
            };
            let (from, into) = (client.try_clone(), server.try_clone());
            let (from, into) = (from.expect("a socket"), into.expect("a socket"));
            let asked = Arc::clone(&rules);
            std::thread::spawn(move || pass(from, into, &asked.asked, None));
            let answered = Arc::clone(&rules);
            std::thread::spawn(move || {
                pass(server, client, &answered.answered, Some(&answered.cut));
            });
        }
    });
    port
}

fn pass(mut from: TcpStream, mut into: TcpStream, replace: &[Replace], cut: Option<&AtomicBool>) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length) = from.read(&mut buffer) {
        let mut message = buffer[..length].to_vec();
        for (old, new) in replace {
            if let Some(at) = find(&message, old) {
                message.splice(at..at + old.len(), new.iter().copied());
            }
        }
        let is_answer = find(&message, b"\r\nmessage\r\n").is_none();
        let is_cut = is_answer && cut.is_some_and(|cut| cut.swap(false, Ordering::Relaxed));
        if length == 0 || is_cut || into.write_all(&message).is_err() {
            break;
        }
    }
    // Both may be closed already.
    let _ = from.shutdown(Shutdown::Both);
    let _ = into.shutdown(Shutdown::Both);
}

fn find(message: &[u8], bytes: &[u8]) -> Option<usize> {
    message
        .windows(bytes.len())
        .position(|window| window == bytes)
}
