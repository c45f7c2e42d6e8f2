//! Log events as a table with a header: what the console exports, and what people make of it.
//!
//! The columns are found by name (`timestamp`, `message`; Logs Insights writes `@` before them) in any order; others are
//! ignored. Fields with line breaks stand in quotes. A row whose quote never closes would swallow the rest: it is
//! rejected and reading starts again at the next line. There is deliberately no table without a header.

use csv::{ByteRecord, Reader as Rows, ReaderBuilder};

use super::messages::{deliver, time};
use super::record::{Origin, Text};
use super::{Format, Reader, RejectReason};
use crate::limits::{LINE_BYTES_MAX, TABLE_RESTARTS_MAX};

/// Longest header that is looked at.
const HEADER_BYTES_MAX: usize = 4_096;

/// Where the columns stand.
struct Columns {
    time: Option<usize>,
    message: usize,
    stream: Option<usize>,
    group: Option<usize>,
    id: Option<usize>,
}

/// The first line names a column of messages and one of times.
pub(super) fn is_log(text: &str) -> bool {
    columns(text).is_some_and(|columns| columns.time.is_some())
}

fn columns(text: &str) -> Option<Columns> {
    let head = text.get(..text.floor_char_boundary(HEADER_BYTES_MAX))?.trim_start().lines().next()?;
    let mut row = ByteRecord::new();
    rows(head).read_byte_record(&mut row).ok()?;
    let at = |names: &[&str]| {
        row.iter().position(|field| {
            let name = std::str::from_utf8(field).unwrap_or_default().trim().trim_start_matches('@');
            names.iter().any(|n| name.eq_ignore_ascii_case(n))
        })
    };
    Some(Columns {
        time: at(&["timestamp", "time"]),
        message: at(&["message"])?,
        stream: at(&["logStreamName", "logStream"]),
        group: at(&["logGroupName", "logGroup", "log"]),
        id: at(&["eventId", "ptr"]),
    })
}

fn rows(text: &str) -> Rows<&[u8]> {
    ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes())
}

pub(super) fn read(reader: &mut Reader<'_>, text: &str) {
    let Some(columns) = columns(text) else { return };
    reader.recognise(Format::Table);
    let mut start = next_line(text, text.len() - text.trim_start().len());
    for restart in 0..=TABLE_RESTARTS_MAX {
        match read_from(reader, text, start, &columns) {
            None => return,
            Some(broken) if restart == TABLE_RESTARTS_MAX => return reader.reject(broken, RejectReason::TooManyBroken),
            Some(broken) => start = next_line(text, broken),
        }
    }
}

fn next_line(text: &str, pos: usize) -> usize {
    let rest = text.as_bytes().get(pos..).unwrap_or_default();
    memchr::memchr(b'\n', rest).map_or(text.len(), |n| pos + n + 1)
}

/// Reads rows from a line on; where the quotes of one never close, its beginning.
fn read_from(reader: &mut Reader<'_>, text: &str, start: usize, columns: &Columns) -> Option<usize> {
    let text = text.get(start..)?;
    let mut rows = rows(text);
    let mut row = ByteRecord::new();
    loop {
        match rows.read_byte_record(&mut row) {
            Ok(true) => {}
            // Reading from memory into a flexible row has no other end.
            Ok(false) | Err(_) => return None,
        }
        let pos = row.position().map_or(0, |p| p.byte() as usize);
        if reader.is_full() {
            reader.give_up(start + pos);
            return None;
        }
        let is_last = rows.position().byte() as usize >= text.len();
        if is_last && memchr::memchr_iter(b'"', text.as_bytes().get(pos..)?).count() % 2 == 1 {
            reader.reject(start + pos, RejectReason::Truncated);
            return Some(start + pos);
        }
        if let Err(reason) = reader.guarded(|reader| read_row(reader, &row, columns)) {
            reader.reject(start + pos, reason);
        }
    }
}

fn read_row(reader: &mut Reader<'_>, row: &ByteRecord, columns: &Columns) -> Result<(), RejectReason> {
    let field = |at: Option<usize>| at.and_then(|at| row.get(at)).and_then(|field| std::str::from_utf8(field).ok());
    let text = |at: Option<usize>| Text::from(field(at).unwrap_or_default());
    if row.as_slice().len() > LINE_BYTES_MAX {
        return Err(RejectReason::TooLong);
    }
    let message = field(Some(columns.message)).ok_or(RejectReason::NoMessage)?;
    // Logs Insights writes `account:group`.
    let group = field(columns.group).unwrap_or_default();
    let (account, group) = group.split_once(':').unwrap_or(("", group));
    let origin = Origin { account: account.into(), group: group.into(), stream: text(columns.stream), ..Origin::default() };
    let id = field(columns.id).filter(|id| !id.is_empty()).map(Text::from);
    deliver(reader, Format::Table, origin, id, field(columns.time).and_then(time), message)
}
