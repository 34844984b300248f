//! A digest that is worked out on a thread of its own, so that whoever has the bytes need not wait for it: inflating is what
//! an install waits for, and the same thread would hash what it inflates.

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use govern_core::proof;
use sha2::{Digest as _, Sha256};

/// Blocks that wait to be hashed.
const WAITING: usize = 4;

/// A SHA-256 in the making. Dropping it ends its thread.
pub(crate) struct Hasher {
    blocks: SyncSender<Vec<u8>>,
    spare: Receiver<Vec<u8>>,
    thread: JoinHandle<Sha256>,
}

impl Hasher {
    pub(crate) fn start() -> Hasher {
        let (blocks, arrived) = sync_channel::<Vec<u8>>(WAITING);
        let (emptied, spare) = sync_channel(WAITING + 2);
        let thread = thread::spawn(move || {
            let mut hash = Sha256::new();
            for mut block in arrived {
                hash.update(&block);
                block.clear();
                // Without room it is one block more to allocate, and without a taker nobody needs it.
                let _ = emptied.try_send(block);
            }
            hash
        });
        Hasher { blocks, spare, thread }
    }

    /// Takes the next bytes, all of them.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let mut block = self.spare.try_recv().unwrap_or_default();
        block.extend_from_slice(bytes);
        // The thread ends after us, unless it panics: then `finish` does.
        let _ = self.blocks.send(block);
    }

    /// The digest of all bytes.
    pub(crate) fn finish(self) -> proof::Sha256 {
        let Hasher { blocks, thread, .. } = self;
        drop(blocks);
        proof::Sha256(thread.join().unwrap_or_else(|panic| resume_unwind(panic)).finalize().into())
    }
}
