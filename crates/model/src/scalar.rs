//! What plain text means in YAML 1.2's core schema: nothing, true or false, a
//! number, or just text. Never loses a digit: a number that JSON can't hold
//! exactly, or one with leading zeros, stays text.

use serde_json::Number;

use crate::tree::Kind;

/// The most digits that a fraction keeps as a 64-bit number.
const FRACTION_DIGITS: usize = 17;

/// What plain text, without quotes and without a tag, means.
pub(crate) fn plain(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        _ => number(text).map_or_else(|| Kind::Text(text.to_owned()), Kind::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let leading_zero = unsigned.len() > 1
        && unsigned.starts_with('0')
        && unsigned[1..].starts_with(|next: char| next.is_ascii_digit());
    if leading_zero {
        return None;
    }
    let plain = text.strip_prefix('+').unwrap_or(text);
    if is_digits(unsigned) {
        let signed = plain.parse::<i64>().map(Number::from);
        return signed
            .or_else(|_| plain.parse::<u64>().map(Number::from))
            .ok();
    }
    if !is_fraction(unsigned) {
        return None;
    }
    plain.parse::<f64>().ok().and_then(Number::from_f64)
}

fn radix(digits: &str, radix: u32) -> Option<Number> {
    let fit = digits.chars().all(|digit| digit.is_digit(radix));
    fit.then(|| u64::from_str_radix(digits, radix).ok())?
        .map(Number::from)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether it is `1.5`, `.5`, `5.` or `1e3`, and fits.
fn is_fraction(unsigned: &str) -> bool {
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let exponent_fits = exponent
        .is_none_or(|exponent| is_digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.is_empty() || is_digits(text);
    let count = whole.len() + fraction.len();
    exponent_fits && digits(whole) && digits(fraction) && (1..=FRACTION_DIGITS).contains(&count)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Value) {
        let found = match plain(text) {
            Kind::Null => Value::Null,
            Kind::Bool(value) => value.into(),
            Kind::Number(value) => value.into(),
            Kind::Text(value) => value.into(),
            Kind::List(_) | Kind::Map(_) => unreachable!(),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn the_core_schema_holds() {
        check("~", Value::Null);
        check("True", json!(true));
        check("-7", json!(-7));
        check("+7", json!(7));
        check("0o17", json!(15));
        check("0xfF", json!(255));
        check("1.5", json!(1.5));
        check("-.5", json!(-0.5));
        check("5.", json!(5.0));
        check("1e3", json!(1000.0));
        check("18446744073709551615", json!(u64::MAX));
        check("-9223372036854775808", json!(i64::MIN));
    }

    #[test]
    fn everything_else_is_text() {
        let texts = [
            "yes",
            "no",
            "on",
            "off",
            "y",
            "1_000",
            "1.2.3",
            "1-2",
            "-",
            "+",
            ".",
            "e5",
            ".e5",
            "1e",
            "1e+",
            "0x",
            "0x+5",
            "0x-5",
            "0o-7",
            "0o8",
            "-0x1F",
            "+0o7",
            "0b1",
            "12:30",
            "2027-01-01",
            "--1",
            "1 2",
            ".inf",
            "-.INF",
            ".nan",
            "infinity",
            "nan",
            "٣",
        ];
        for text in texts {
            check(text, json!(text));
        }
    }

    #[test]
    fn no_digit_is_lost() {
        let texts = [
            "007",
            "-01",
            "00.5",
            "18446744073709551616",
            "-9223372036854775809",
            "1e999",
            "3.14159265358979323846",
            "0x10000000000000000",
        ];
        for text in texts {
            check(text, json!(text));
        }
    }
}
