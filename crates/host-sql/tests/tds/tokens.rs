//! The server's tokens in bytes (MS-TDS 2.2.7), written by hand.

/// Bits of a DONE token's status.
pub(crate) const MORE: u16 = 0x01;
pub(crate) const ERROR: u16 = 0x02;
pub(crate) const COUNT: u16 = 0x10;
pub(crate) const ATTENTION: u16 = 0x20;

pub(crate) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn short(text: &str) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(text.encode_utf16().count()).unwrap()];
    bytes.extend(utf16(text));
    bytes
}

fn long(text: &str) -> Vec<u8> {
    let units = u16::try_from(text.encode_utf16().count()).unwrap();
    let mut bytes = units.to_le_bytes().to_vec();
    bytes.extend(utf16(text));
    bytes
}

fn framed(token: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap();
    [&[token], &length.to_le_bytes()[..], body].concat()
}

/// DONE.
pub(crate) fn done(status: u16, count: u64) -> Vec<u8> {
    ended(0xFD, status, count)
}

/// DONEINPROC.
pub(crate) fn done_in_procedure(status: u16, count: u64) -> Vec<u8> {
    ended(0xFF, status, count)
}

/// DONEPROC.
pub(crate) fn done_procedure(status: u16) -> Vec<u8> {
    ended(0xFE, status, 0)
}

fn ended(token: u8, status: u16, count: u64) -> Vec<u8> {
    let mut bytes = vec![token];
    bytes.extend(status.to_le_bytes());
    bytes.extend(0xC1_u16.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes
}

/// What ERROR and INFO say.
#[derive(Clone, Copy)]
pub(crate) struct Said<'s> {
    pub(crate) number: i32,
    pub(crate) class: u8,
    pub(crate) text: &'s str,
    pub(crate) procedure: &'s str,
    pub(crate) line: i32,
}

impl<'s> Said<'s> {
    pub(crate) fn new(number: i32, class: u8, text: &'s str) -> Self {
        Self {
            number,
            class,
            text,
            procedure: "",
            line: 1,
        }
    }

    pub(crate) fn at(self, line: i32) -> Self {
        Self { line, ..self }
    }

    /// As ERROR where it is one, as INFO otherwise.
    pub(crate) fn token(self) -> Vec<u8> {
        let mut body = self.number.to_le_bytes().to_vec();
        body.extend([1, self.class]);
        body.extend(long(self.text));
        body.extend(short("SERVER"));
        body.extend(short(self.procedure));
        body.extend(self.line.to_le_bytes());
        framed(if self.class > 10 { 0xAA } else { 0xAB }, &body)
    }
}

/// ENVCHANGE with texts.
pub(crate) fn changed(of: u8, new: &str, old: &str) -> Vec<u8> {
    framed(0xE3, &[&[of][..], &short(new), &short(old)].concat())
}

/// ENVCHANGE of a transaction: 8 begins the one of this number, 9 commits it,
/// 10 rolls it back.
pub(crate) fn transaction(of: u8, number: u64) -> Vec<u8> {
    let number = number.to_le_bytes();
    let body = if of == 8 {
        [&[of, 8], &number[..], &[0]].concat()
    } else {
        [&[of, 0, 8], &number[..]].concat()
    };
    framed(0xE3, &body)
}

/// ENVCHANGE that sends to another server.
pub(crate) fn route(host: &str, port: u16) -> Vec<u8> {
    let to = [&[0][..], &port.to_le_bytes(), &long(host)].concat();
    let length = u16::try_from(to.len()).unwrap().to_le_bytes();
    framed(0xE3, &[&[20][..], &length, &to, &[0, 0]].concat())
}

/// LOGINACK for TDS 7.4.
pub(crate) fn welcome() -> Vec<u8> {
    let version = [0x74, 0, 0, 4];
    let program = [16, 0, 0, 1];
    framed(
        0xAD,
        &[&[1], &version[..], &short("Tests"), &program].concat(),
    )
}

/// A column: its name and its TYPE_INFO.
pub(crate) fn column(name: &str, of: &[u8]) -> Vec<u8> {
    let head = [0, 0, 0, 0, 0x09, 0];
    [&head, of, &short(name)].concat()
}

/// COLMETADATA.
pub(crate) fn columns(columns: &[Vec<u8>]) -> Vec<u8> {
    let count = u16::try_from(columns.len()).unwrap();
    [&[0x81], &count.to_le_bytes()[..], &columns.concat()].concat()
}

/// ROW.
pub(crate) fn row(values: &[&[u8]]) -> Vec<u8> {
    [&[0xD1], &values.concat()[..]].concat()
}

/// The TYPE_INFO of `int` that may be null.
pub(crate) const INT: &[u8] = &[0x26, 4];

/// A value of it.
pub(crate) fn int(value: i32) -> Vec<u8> {
    [&[4], &value.to_le_bytes()[..]].concat()
}

/// `Latin1_General_CI_AS`.
pub(crate) const COLLATION: [u8; 5] = [0x09, 0x04, 0xD0, 0x00, 0x00];

/// One result with one column of whole numbers, and its end.
pub(crate) fn numbers(name: &str, values: &[i32], status: u16) -> Vec<u8> {
    let mut bytes = columns(&[column(name, INT)]);
    for value in values {
        bytes.extend(row(&[&int(*value)]));
    }
    bytes.extend(done(status | COUNT, values.len() as u64));
    bytes
}
