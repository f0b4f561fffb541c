//! Makes UTF-8 of what programs write on Windows: UTF-16, UTF-8, or the code
//! page of the console. Never loses a byte: what has no meaning becomes U+FFFD.

use encoding_rs::{Encoding, UTF_16LE};

/// How many bytes of a stream are looked at to tell UTF-16 without a mark.
const LOOKED_AT: usize = 64;

/// Reads one stream.
pub(crate) struct Decoder {
    code_page: u16,
    form: Form,
    /// Bytes that are no whole character yet.
    rest: Vec<u8>,
}

enum Form {
    /// Nothing was written yet.
    Unknown,
    /// Everything so far was UTF-8.
    Utf8,
    /// By a decoder that keeps what is between two pieces.
    Decoded(encoding_rs::Decoder),
    /// One byte, one character.
    Table(&'static [char; 128]),
}

impl Decoder {
    /// For a stream of a program on a console of this code page.
    pub(crate) const fn new(code_page: u16) -> Self {
        Self {
            code_page,
            form: Form::Unknown,
            rest: Vec::new(),
        }
    }

    /// The next bytes as UTF-8.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        if matches!(self.form, Form::Unknown) && !bytes.is_empty() {
            self.form = if looks_like_utf16(bytes) {
                Form::Decoded(UTF_16LE.new_decoder_with_bom_removal())
            } else {
                Form::Utf8
            };
        }
        match &mut self.form {
            Form::Unknown => Vec::new(),
            Form::Decoded(decoder) => decoded(decoder, bytes, false),
            Form::Table(table) => by_table(table, bytes),
            Form::Utf8 => self.push_utf8(bytes),
        }
    }

    /// What is left at the end of the stream.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        match &mut self.form {
            Form::Decoded(decoder) => decoded(decoder, &[], true),
            Form::Utf8 if !self.rest.is_empty() => {
                let rest = std::mem::take(&mut self.rest);
                let mut text = self.leave_utf8(&rest);
                text.extend(self.finish());
                text
            }
            _ => Vec::new(),
        }
    }

    fn push_utf8(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut all = std::mem::take(&mut self.rest);
        all.extend_from_slice(bytes);
        match std::str::from_utf8(&all) {
            Ok(_) => all,
            Err(error) => {
                let rest = all.split_off(error.valid_up_to());
                match error.error_len() {
                    // The next piece may complete it.
                    None => self.rest = rest,
                    Some(_) => all.extend(self.leave_utf8(&rest)),
                }
                all
            }
        }
    }

    /// A program writes in one form, and this one's is not UTF-8.
    fn leave_utf8(&mut self, bytes: &[u8]) -> Vec<u8> {
        if let Some(encoding) = encoding(self.code_page) {
            let mut decoder = encoding.new_decoder_without_bom_handling();
            let text = decoded(&mut decoder, bytes, false);
            self.form = Form::Decoded(decoder);
            return text;
        }
        let tables = &oem_cp::code_table::DECODING_TABLE_CP_MAP;
        match tables.get(&self.code_page) {
            Some(oem_cp::code_table_type::TableType::Complete(table)) => {
                self.form = Form::Table(table);
                by_table(table, bytes)
            }
            _ => {
                let mut decoder = encoding_rs::UTF_8.new_decoder_without_bom_handling();
                let text = decoded(&mut decoder, bytes, false);
                self.form = Form::Decoded(decoder);
                text
            }
        }
    }
}

/// With its mark, or as text in Latin letters looks: most second bytes are zero,
/// which no other form writes.
fn looks_like_utf16(bytes: &[u8]) -> bool {
    if bytes.starts_with(&[0xff, 0xfe]) {
        return true;
    }
    let start = &bytes[..bytes.len().min(LOOKED_AT) & !1];
    let pairs = start.len() / 2;
    let zero = start
        .chunks_exact(2)
        .filter(|pair| pair[1] == 0 && pair[0] != 0);
    pairs >= 2 && zero.count() * 2 >= pairs
}

fn decoded(decoder: &mut encoding_rs::Decoder, bytes: &[u8], last: bool) -> Vec<u8> {
    let room = decoder
        .max_utf8_buffer_length(bytes.len())
        .unwrap_or(bytes.len().saturating_mul(3) + 16);
    let mut text = vec![0; room];
    let (_, _, written, _) = decoder.decode_to_utf8(bytes, &mut text, last);
    text.truncate(written);
    text
}

fn by_table(table: &[char; 128], bytes: &[u8]) -> Vec<u8> {
    let character = |byte: &u8| match byte.checked_sub(128) {
        Some(high) => table[usize::from(high)],
        None => char::from(*byte),
    };
    let text: String = bytes.iter().map(character).collect();
    text.into_bytes()
}

/// The encodings that the web knows too; the others are tables.
fn encoding(code_page: u16) -> Option<&'static Encoding> {
    let label = match code_page {
        866 => "ibm866".to_owned(),
        874 => "windows-874".to_owned(),
        932 => "shift_jis".to_owned(),
        936 => "gbk".to_owned(),
        949 => "euc-kr".to_owned(),
        950 => "big5".to_owned(),
        1250..=1258 => format!("windows-{code_page}"),
        54936 => "gb18030".to_owned(),
        _ => return None,
    };
    Encoding::for_label(label.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In pieces of every size, the same comes out.
    fn read(code_page: u16, bytes: &[u8]) -> String {
        let in_pieces = |size: usize| {
            let mut decoder = Decoder::new(code_page);
            let mut text = Vec::new();
            for piece in bytes.chunks(size) {
                text.extend(decoder.push(piece));
            }
            text.extend(decoder.finish());
            String::from_utf8_lossy(&text).into_owned()
        };
        let whole = in_pieces(bytes.len().max(1));
        for size in 8..bytes.len() {
            assert_eq!(in_pieces(size), whole, "in pieces of {size}");
        }
        whole
    }

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn utf8_stays_as_it_is() {
        let text = "Größe: 5 €, 😀, done and done again\r\n";
        assert_eq!(read(850, text.as_bytes()), text);
        assert_eq!(read(850, b""), "");
    }

    #[test]
    fn utf16_is_recognised_with_its_mark_and_without() {
        let text = "Größe 5 MB, 😀 and more\r\n";
        assert_eq!(read(850, &utf16(text)), text);
        let marked = [&[0xff, 0xfe][..], &utf16("日本語 text\n")].concat();
        assert_eq!(read(932, &marked), "日本語 text\n");
    }

    #[test]
    fn the_code_page_of_the_console_is_read() {
        // `Größe` in the code pages of western, Russian and Japanese consoles.
        assert_eq!(read(850, b"Gr\x94\xe1e here"), "Größe here");
        assert_eq!(read(437, b"Gr\x94\xe1e here"), "Größe here");
        assert_eq!(read(1252, b"Gr\xf6\xdfe here"), "Größe here");
        assert_eq!(read(866, b"\x8f\xe0\xa8\xa2\xa5\xe2, you"), "Привет, you");
        assert_eq!(read(932, b"\x93\xfa\x96\x7b is it"), "日本 is it");
    }

    #[test]
    fn what_has_no_meaning_is_shown_as_such() {
        assert_eq!(read(65001, b"abcdefgh\xffij"), "abcdefgh\u{fffd}ij");
        assert_eq!(read(65001, b"cut short \xe2\x82"), "cut short \u{fffd}");
    }
}
