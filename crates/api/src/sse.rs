//! Takes server-sent events apart (the WHATWG specification's `data` field; nothing else is used here).

/// Collects bytes until whole events are there.
#[derive(Default)]
pub(crate) struct Events {
    buffer: Vec<u8>,
}

/// The longest event that is taken, in bytes.
const MAX_EVENT: usize = 1 << 20;

impl Events {
    /// Takes bytes. False when an event grows beyond every measure.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> bool {
        self.buffer.extend(bytes.iter().filter(|b| **b != b'\r'));
        self.buffer.len() <= MAX_EVENT
    }

    /// Gives the data of the next whole event; comments and events without data are passed over.
    pub(crate) fn next(&mut self) -> Option<String> {
        loop {
            let end = self.buffer.windows(2).position(|two| two == b"\n\n")?;
            let event: Vec<u8> = self.buffer.drain(..end + 2).collect();
            let event = String::from_utf8_lossy(&event);
            let data: Vec<&str> = event
                .lines()
                .filter_map(|line| line.strip_prefix("data:"))
                .map(|data| data.strip_prefix(' ').unwrap_or(data))
                .collect();
            if !data.is_empty() {
                return Some(data.join("\n"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Events;

    #[test]
    fn events_are_found_however_the_bytes_arrive() {
        let text = b": hello\n\nid: 1\ndata: {\"a\":\ndata: 1}\r\n\r\nevent: x\n\ndata:z\n\ndata: part";
        for step in 1..text.len() {
            let (mut events, mut found) = (Events::default(), Vec::new());
            for chunk in text.chunks(step) {
                assert!(events.push(chunk));
                found.extend(std::iter::from_fn(|| events.next()));
            }
            assert_eq!(found, ["{\"a\":\n1}", "z"], "in steps of {step}");
        }
    }
}
