//! Bytes as they lay there → text: gzip, zlib or plain, UTF-8 whatever was in them.
//!
//! The bulk is one gzip member of known length: one shot into a buffer that is kept. Everything else (several members,
//! cut streams, a length field that lies) is read as a stream up to the cap, and what inflates is kept. A length field
//! is believed only as far as deflate could have shrunk the bytes at hand. Invalid UTF-8 becomes `?` in place, so that
//! offsets stand and memory doesn't grow. There is deliberately no other compression: what it would be is only named.

use std::io::Read;

use libdeflater::{DecompressionError, Decompressor};

use super::reject::RejectReason;
use crate::limits::DEFLATE_RATIO_MAX;

/// What the bytes hold.
pub(super) struct Unpacked<'a> {
    /// The content, up to the cap.
    pub(super) content: Content<'a>,
    /// What was wrong on the way.
    pub(super) fault: Option<RejectReason>,
    /// Bytes that were made of these, of use or not.
    pub(super) inflated: usize,
}

/// The content, after one inflation.
pub(super) enum Content<'a> {
    /// Text.
    Text(&'a str),
    /// Bytes that are compressed again.
    Packed(&'a [u8]),
    /// Something else, with a word on what to do with it.
    Foreign(&'static str),
}

const GZIP: &[u8] = &[0x1F, 0x8B];

/// Inflates and makes text. `buffer` is reused from file to file and never shrinks.
pub(super) fn unpack<'a>(bytes: &'a [u8], cap: usize, inflater: &mut Decompressor, buffer: &'a mut Vec<u8>) -> Unpacked<'a> {
    let inflated = if bytes.starts_with(GZIP) {
        Ok(gunzip(bytes, cap, inflater, buffer))
    } else if is_zlib(bytes) {
        unzlib(bytes, cap, inflater, buffer)
    } else {
        Err(0)
    };
    let (len, fault) = match inflated {
        Ok(inflated) => inflated,
        Err(tried) => return plain(bytes, cap, buffer, tried),
    };
    let content = buffer.get_mut(..len).unwrap_or_default();
    if content.starts_with(GZIP) {
        return Unpacked { content: Content::Packed(content), fault, inflated: len };
    }
    match foreign(content) {
        Some((what, reason)) => Unpacked { content: Content::Foreign(what), fault: fault.or(reason), inflated: len },
        None => Unpacked { content: Content::Text(mend(content)), fault, inflated: len },
    }
}

/// Content that lay there uncompressed: borrowed as it is where it is valid. `tried` bytes were inflated in vain.
fn plain<'a>(bytes: &'a [u8], cap: usize, buffer: &'a mut Vec<u8>, tried: usize) -> Unpacked<'a> {
    let fault = (bytes.len() > cap).then_some(RejectReason::TooLarge);
    let bytes = bytes.get(..cap).unwrap_or(bytes);
    let inflated = tried + bytes.len();
    if let Some((what, reason)) = foreign(bytes) {
        return Unpacked { content: Content::Foreign(what), fault: fault.or(reason), inflated };
    }
    let content = match std::str::from_utf8(bytes) {
        Ok(text) => Content::Text(text),
        Err(_) => {
            buffer.clear();
            buffer.extend_from_slice(bytes);
            Content::Text(mend(buffer))
        }
    };
    Unpacked { content, fault, inflated }
}

/// Every byte that is no UTF-8 becomes `?`.
fn mend(bytes: &mut [u8]) -> &str {
    let mut from = 0;
    while let Some(Err(e)) = bytes.get(from..).map(std::str::from_utf8) {
        let bad = from + e.valid_up_to();
        let end = e.error_len().map_or(bytes.len(), |n| bad + n);
        bytes.get_mut(bad..end).unwrap_or_default().fill(b'?');
        from = end;
    }
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// A byte order mark, or ASCII with zeros between.
fn is_utf16(bytes: &[u8]) -> bool {
    matches!(bytes, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, b' '..=b'~', 0, b' '..=b'~', ..] | [b' '..=b'~', 0, b' '..=b'~', 0, ..])
}

/// What people keep beside logs, known by its first bytes; only a text in UTF-16 could be a log.
fn foreign(bytes: &[u8]) -> Option<(&'static str, Option<RejectReason>)> {
    let known: [(&[u8], &str); 8] = [
        (&[0x28, 0xB5, 0x2F, 0xFD], "zstd data, unpack it first"),
        (b"BZh", "bzip2 data, unpack it first"),
        (b"PK\x03\x04", "zip archive, unpack it first"),
        (b"\xFD7zXZ\0", "xz data, unpack it first"),
        (b"PAR1", "parquet, export it as JSON lines first"),
        (b"Obj\x01", "avro, export it as JSON lines first"),
        (b"SQLite format 3\0", "a database"),
        (b"\x7FELF", "a program"),
    ];
    if is_utf16(bytes) {
        return Some(("text in UTF-16, convert it to UTF-8 first", Some(RejectReason::Utf16)));
    }
    let tar = bytes.get(257..262) == Some(b"ustar");
    let magic = known.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, what)| *what);
    magic.or(tar.then_some("tar archive, unpack it first")).map(|what| (what, None))
}

/// `CMF` and `FLG` of RFC 1950: deflate, window at most 32 KB, and a checksum of both.
fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [cmf, flg, _, ..] if cmf & 0x0F == 8 && cmf >> 4 <= 7 && (u32::from(*cmf) * 256 + u32::from(*flg)) % 31 == 0 && flg & 0x20 == 0)
}

/// Makes the buffer at least that long; it is zeroed only where it grows.
fn reserve(buffer: &mut Vec<u8>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, 0);
    }
}

fn gunzip(bytes: &[u8], cap: usize, inflater: &mut Decompressor, buffer: &mut Vec<u8>) -> (usize, Option<RejectReason>) {
    let trailer: Option<[u8; 4]> = bytes.last_chunk().copied();
    let len = trailer.map_or(usize::MAX, |len| u32::from_le_bytes(len) as usize);
    let believable = len <= cap && len <= bytes.len().saturating_mul(DEFLATE_RATIO_MAX);
    if believable && !may_have_members(bytes) {
        reserve(buffer, len);
        if inflater.gzip_decompress(bytes, buffer.get_mut(..len).unwrap_or_default()) == Ok(len) {
            return (len, None);
        }
    }
    members(bytes, cap, buffer)
}

/// The one shot reads the first member alone and calls that a success. Another would begin with this (and length and
/// checksum at the end tell nothing where the same member stands twice); by chance it stands in one of 16 million bytes.
fn may_have_members(bytes: &[u8]) -> bool {
    bytes.get(1..).is_some_and(|rest| memchr::memmem::find(rest, &[0x1F, 0x8B, 8]).is_some())
}

/// One gzip member after the other. What follows the last and is none (zeros, a line break) is left.
fn members(bytes: &[u8], cap: usize, buffer: &mut Vec<u8>) -> (usize, Option<RejectReason>) {
    let mut rest = bytes;
    buffer.clear();
    while rest.starts_with(GZIP) {
        let mut decoder = flate2::bufread::GzDecoder::new(rest);
        let fault = stream(&mut decoder, cap, buffer);
        if fault.is_some() {
            return (buffer.len(), fault);
        }
        rest = decoder.into_inner();
    }
    (buffer.len(), None)
}

/// What inflates at a time: where the data is damaged, a piece is lost, so it is small; and always the same, so that
/// what is kept doesn't depend on the room that earlier files left.
const PIECE_BYTES: usize = 4_096;

/// Appends what inflates, up to the cap.
fn stream(decoder: &mut impl Read, cap: usize, buffer: &mut Vec<u8>) -> Option<RejectReason> {
    let mut piece = [0; PIECE_BYTES];
    loop {
        match decoder.read(&mut piece) {
            Ok(0) => return None,
            Ok(n) => {
                let room = cap.saturating_sub(buffer.len());
                buffer.extend_from_slice(piece.get(..n.min(room)).unwrap_or_default());
                if n > room {
                    return Some(RejectReason::TooLarge);
                }
            }
            Err(_) => return Some(RejectReason::Deflate),
        }
    }
}

/// Where nothing inflates, how much was tried: two letters of text may look like the header.
fn unzlib(bytes: &[u8], cap: usize, inflater: &mut Decompressor, buffer: &mut Vec<u8>) -> Result<(usize, Option<RejectReason>), usize> {
    let mut room = bytes.len().saturating_mul(8).min(cap);
    loop {
        reserve(buffer, room);
        match inflater.zlib_decompress(bytes, buffer.get_mut(..room).unwrap_or_default()) {
            Ok(len) => return Ok((len, None)),
            Err(DecompressionError::InsufficientSpace) if room < cap => room = room.saturating_mul(4).min(cap),
            Err(_) => break,
        }
    }
    if std::str::from_utf8(bytes).is_ok() {
        return Err(room);
    }
    buffer.clear();
    let fault = stream(&mut flate2::bufread::ZlibDecoder::new(bytes), cap, buffer);
    if buffer.is_empty() { Err(0) } else { Ok((buffer.len(), fault)) }
}
