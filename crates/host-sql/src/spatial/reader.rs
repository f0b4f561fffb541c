//! Reads numbers off the front of some bytes. Never past their end.

pub(super) struct Reader<'a> {
    rest: &'a [u8],
    little: bool,
}

impl<'a> Reader<'a> {
    /// The lowest byte of a number comes first.
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            little: true,
        }
    }

    /// Whether the lowest byte of the numbers to come is their first.
    pub(super) const fn set_order(&mut self, little: bool) {
        self.little = little;
    }

    pub(super) const fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub(super) fn unsigned(&mut self) -> Option<u32> {
        let bytes = self.take()?;
        Some(if self.little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        })
    }

    pub(super) fn signed(&mut self) -> Option<i32> {
        self.unsigned().map(u32::cast_signed)
    }

    pub(super) fn double(&mut self) -> Option<f64> {
        let bytes = self.take()?;
        Some(if self.little {
            f64::from_le_bytes(bytes)
        } else {
            f64::from_be_bytes(bytes)
        })
    }

    /// How many things follow, each of at least so many bytes; none when there
    /// can't be as many, so that nobody makes room for them.
    pub(super) fn count(&mut self, each: usize) -> Option<usize> {
        let count = usize::try_from(self.unsigned()?).ok()?;
        (count <= self.rest.len() / each).then_some(count)
    }

    /// So many things, each read by this.
    pub(super) fn many<T>(
        &mut self,
        count: usize,
        each: impl Fn(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        (0..count).map(|_| each(self)).collect()
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*taken)
    }
}
