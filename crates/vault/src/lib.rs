//! Secrets at rest: sealed with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha)
//! under one key, which lies in a file of its own. What a secret is for is
//! sealed along, so that none can be put in another's place. Never logs, never
//! shows a secret.

mod key;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

pub use key::KeyError;

/// The edition of what is sealed: this byte, the key's mark, the nonce, then
/// the ciphertext with its tag.
const EDITION: u8 = 1;
/// Bytes that tell one key from another.
const MARK: usize = 8;
const NONCE: usize = 24;

/// Seals and opens secrets under one key.
pub struct Vault {
    cipher: XChaCha20Poly1305,
    mark: [u8; MARK],
}

/// A secret can't be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// It was sealed under another key.
    #[error(
        "it was sealed with another key; bring back the key file that it was sealed with, or set the secret again"
    )]
    OtherKey,
    /// It is not what was sealed, or not for this.
    #[error("what is stored of it was changed; set the secret again")]
    Damaged,
}

/// A secret can't be sealed: the system gives no randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers, so nothing can be sealed")]
pub struct SealError;

impl Vault {
    /// The vault of the key in this file; makes one, for its owner alone, where
    /// there is none and `create` says so.
    ///
    /// # Errors
    /// When the file can't be read or made, holds no key, or may be read by
    /// others.
    pub fn open(file: &std::path::Path, create: bool) -> Result<Self, KeyError> {
        key::read(file, create).map(|key| Self::with(&key))
    }

    fn with(key: &[u8; key::LENGTH]) -> Self {
        let mut mark = [0; MARK];
        let digest = blake3::derive_key("jobcell 2026 mark of a key", key);
        mark.copy_from_slice(&digest[..MARK]);
        Self {
            cipher: XChaCha20Poly1305::new(key.into()),
            mark,
        }
    }

    /// Seals a secret that is for this purpose.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn seal(&self, purpose: &str, secret: &str) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| SealError)?;
        let payload = Payload {
            msg: secret.as_bytes(),
            aad: purpose.as_bytes(),
        };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| SealError)?;
        Ok([&[EDITION], &self.mark[..], &nonce, &sealed].concat())
    }

    /// Opens what was sealed for this purpose.
    ///
    /// # Errors
    /// When it was sealed with another key, for something else, or was changed.
    pub fn unseal(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<String>, UnsealError> {
        let Some((&EDITION, rest)) = sealed.split_first() else {
            return Err(UnsealError::Damaged);
        };
        let (mark, rest) = rest.split_at_checked(MARK).ok_or(UnsealError::Damaged)?;
        if mark != self.mark {
            return Err(UnsealError::OtherKey);
        }
        let (nonce, text) = rest
            .split_first_chunk::<NONCE>()
            .ok_or(UnsealError::Damaged)?;
        let payload = Payload {
            msg: text,
            aad: purpose.as_bytes(),
        };
        let secret = self.cipher.decrypt(&XNonce::from(*nonce), payload);
        let secret = secret.map_err(|_| UnsealError::Damaged)?;
        let secret = String::from_utf8(secret).map_err(|_| UnsealError::Damaged)?;
        Ok(Zeroizing::new(secret))
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Vault(…)")
    }
}
