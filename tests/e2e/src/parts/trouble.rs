//! A proxy that makes trouble by a script: it throttles, fails, hangs, or does a request and loses its answer.
//!
//! It stands before a real part, so that what was done and what was only said can be told apart afterwards. One request a
//! connection, one thread each; its threads end with the process. Deliberately absent: any understanding of requests.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// It is done and answered.
    Pass,
    /// It is done, and the connection breaks before the answer.
    Lose,
    /// It is not done, and answered with this status and JSON.
    Refuse(u16, String),
    /// It is not done, and never answered.
    Hang,
}

/// The proxy.
pub struct Trouble {
    /// Where it listens.
    pub address: SocketAddr,
    script: Arc<Mutex<Script>>,
}

struct Script {
    acts: VecDeque<Act>,
    then: Act,
    seen: usize,
}

impl Trouble {
    /// Listens before the part at `upstream`. The first requests meet `acts`, one each; all others `then`.
    pub fn start(upstream: SocketAddr, acts: impl IntoIterator<Item = Act>, then: Act) -> Trouble {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(Script { acts: acts.into_iter().collect(), then, seen: 0 }));
        let shared = Arc::clone(&script);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let script = Arc::clone(&shared);
                // A client that went away is its own end.
                thread::spawn(move || serve(client, upstream, &script).ok());
            }
        });
        Trouble { address, script }
    }

    /// Requests so far.
    pub fn seen(&self) -> usize {
        self.script.lock().unwrap().seen
    }
}

fn serve(mut client: TcpStream, upstream: SocketAddr, script: &Mutex<Script>) -> io::Result<()> {
    let request = read_request(&mut client)?;
    let act = {
        let mut script = script.lock().unwrap();
        script.seen += 1;
        script.acts.pop_front().unwrap_or_else(|| script.then.clone())
    };
    match act {
        Act::Pass => client.write_all(&forward(&request, upstream)?),
        Act::Lose => forward(&request, upstream).map(drop),
        Act::Hang => client.read_to_end(&mut Vec::new()).map(drop),
        Act::Refuse(status, json) => {
            let head = format!("HTTP/1.1 {status} -\r\ncontent-type: application/x-amz-json-1.0\r\nconnection: close\r\n");
            client.write_all(format!("{head}content-length: {}\r\n\r\n{json}", json.len()).as_bytes())
        }
    }
}

/// Head and body, with the head changed so that the connection ends with the answer.
pub(super) fn read_request(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 8192];
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        match client.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => bytes.extend_from_slice(&buffer[..n]),
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let field =
        |line: &str, name: &str| line.split_once(':').filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim().to_owned());
    let length: usize = text.lines().find_map(|line| field(line, "content-length")).and_then(|n| n.parse().ok()).unwrap_or(0);
    while bytes.len() < head + length {
        match client.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => bytes.extend_from_slice(&buffer[..n]),
        }
    }
    let kept = text.lines().filter(|line| !line.is_empty() && field(line, "connection").is_none());
    let mut request: Vec<u8> = kept.flat_map(|line| [line, "\r\n"]).collect::<String>().into_bytes();
    request.extend_from_slice(b"connection: close\r\n\r\n");
    request.extend_from_slice(&bytes[head..]);
    Ok(request)
}

pub(super) fn forward(request: &[u8], upstream: SocketAddr) -> io::Result<Vec<u8>> {
    let mut part = TcpStream::connect(upstream)?;
    part.write_all(request)?;
    let mut answer = Vec::new();
    part.read_to_end(&mut answer)?;
    Ok(answer)
}
