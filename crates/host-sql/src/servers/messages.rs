//! What a server says besides results: notices, warnings, prints. Keeps the
//! first of them and how many more there were.

use std::sync::{Mutex, PoisonError};

use jobcell_plugin_host::bindings::sql::Message;

/// The most messages that are kept until somebody takes them.
const MOST: usize = 1_000;
/// The most bytes of their texts.
const MOST_BYTES: usize = 256 << 10;

/// A connection's messages since they were last taken.
#[derive(Default)]
pub(crate) struct Messages(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    messages: Vec<Message>,
    bytes: usize,
    dropped: u64,
}

impl Messages {
    pub(crate) fn add(&self, severity: &str, text: &str) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.messages.len() == MOST || kept.bytes + text.len() > MOST_BYTES {
            kept.dropped += 1;
            return;
        }
        kept.bytes += text.len();
        kept.messages.push(Message {
            severity: severity.to_owned(),
            text: text.to_owned(),
        });
    }

    pub(crate) fn take(&self) -> Vec<Message> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Kept {
            mut messages,
            dropped,
            ..
        } = std::mem::take(&mut *kept);
        if dropped > 0 {
            messages.push(Message {
                severity: "warning".to_owned(),
                text: format!("{dropped} more messages of the server were left out"),
            });
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Messages};

    #[test]
    fn a_flood_of_messages_is_cut_and_counted() {
        let messages = Messages::default();
        for number in 0..MOST + 5 {
            messages.add("notice", &number.to_string());
        }
        let taken = messages.take();
        assert_eq!(taken.len(), MOST + 1);
        assert_eq!(
            taken[MOST].text,
            "5 more messages of the server were left out"
        );
        assert!(messages.take().is_empty());
    }

    #[test]
    fn a_huge_message_is_left_out() {
        let messages = Messages::default();
        messages.add("notice", &"x".repeat(1 << 20));
        messages.add("notice", "small");
        let taken = messages.take();
        let texts: Vec<_> = taken.iter().map(|message| message.text.as_str()).collect();
        assert_eq!(
            texts,
            ["small", "1 more messages of the server were left out"]
        );
    }
}
