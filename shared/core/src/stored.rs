//! Why stored bytes can't be read: two reasons, because a person does something else about each.
//!
//! What is stored begins with its format. It is looked at before anything else: a newer layout must be told as newer, and
//! not as damaged, or a person would throw away what only a newer version can read. There is deliberately no reading of
//! older formats here, since none was released.

use minicbor::{Decode, Decoder};

/// Why stored bytes can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoredError {
    /// Written by another version, most likely a newer one: to be left alone.
    #[error("it has format {0}, which this version does not know")]
    Format(u64),
    /// No version wrote that.
    #[error("it is damaged")]
    Damaged,
}

/// Reads CBOR with numbered fields, the first of which is its format.
pub fn from_cbor<'b, T: Decode<'b, ()>>(bytes: &'b [u8], format: u8) -> Result<T, StoredError> {
    let mut head = Decoder::new(bytes);
    head.array().map_err(|_| StoredError::Damaged)?;
    match head.u64().map_err(|_| StoredError::Damaged)? {
        found if found == u64::from(format) => minicbor::decode(bytes).map_err(|_| StoredError::Damaged),
        other => Err(StoredError::Format(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, minicbor::Encode, Decode)]
    struct Thing {
        #[n(0)]
        format: u8,
        #[n(1)]
        name: String,
    }

    #[test]
    fn the_format_is_told_before_anything_else_is_read() {
        let bytes = minicbor::to_vec(Thing { format: 1, name: "a".to_owned() }).unwrap();
        assert_eq!(from_cbor(&bytes, 1), Ok(Thing { format: 1, name: "a".to_owned() }));
        let newer = minicbor::to_vec((300_u32, 5_u8, [1_u8; 3])).unwrap();
        assert_eq!(from_cbor::<Thing>(&newer, 1), Err(StoredError::Format(300)));
        let other = minicbor::to_vec((1_u8, 5_u8)).unwrap();
        for damaged in [&bytes[..2], &other[..], b"", b"\xff"] {
            assert_eq!(from_cbor::<Thing>(damaged, 1), Err(StoredError::Damaged), "{damaged:?}");
        }
    }
}
