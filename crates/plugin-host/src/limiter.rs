//! Bounds the memory of an instance: all memories and tables in sum.
//! Never counts what the host itself allocates.

use wasmtime::ResourceLimiter;

/// What one table entry costs the host, in bytes.
const TABLE_ENTRY: u64 = 8;
/// Core instances, tables and memories of one component, each.
const PARTS: usize = 64;

/// Counts and bounds the memory of one instance.
#[derive(Debug)]
pub(crate) struct MemoryLimiter {
    limit: u64,
    used: u64,
    peak: u64,
    refused: bool,
}

impl MemoryLimiter {
    pub(crate) const fn new(limit: u64) -> Self {
        Self {
            limit,
            used: 0,
            peak: 0,
            refused: false,
        }
    }

    /// What is allowed, in bytes.
    pub(crate) const fn limit(&self) -> u64 {
        self.limit
    }

    /// The most that was in use, in bytes.
    pub(crate) const fn peak(&self) -> u64 {
        self.peak
    }

    /// Whether more was asked for than is allowed.
    pub(crate) const fn refused(&self) -> bool {
        self.refused
    }

    /// Counts what was made before there was a run to count it for; whether that
    /// is allowed.
    pub(crate) fn begins_with(&mut self, used: u64) -> bool {
        self.grow(used)
    }

    fn grow(&mut self, by: u64) -> bool {
        let wanted = self.used.saturating_add(by);
        if wanted > self.limit {
            self.refused = true;
            return false;
        }
        self.used = wanted;
        self.peak = self.peak.max(wanted);
        true
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            // The plugin's own bound, which is nothing that an admin could raise.
            return Ok(false);
        }
        Ok(self.grow(desired.saturating_sub(current) as u64))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        // More than a memory can ever have, or than the system had to give. What
        // was counted for it stays counted: too strict is safe, too lax is not.
        self.refused = true;
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        Ok(self.grow((desired.saturating_sub(current) as u64).saturating_mul(TABLE_ENTRY)))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = true;
        Ok(())
    }

    fn instances(&self) -> usize {
        PARTS
    }

    fn tables(&self) -> usize {
        PARTS
    }

    fn memories(&self) -> usize {
        PARTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_and_tables_count_in_sum() {
        let mut limiter = MemoryLimiter::new(100);
        assert!(limiter.memory_growing(0, 60, None).is_ok_and(|grown| grown));
        assert!(limiter.table_growing(0, 5, None).is_ok_and(|grown| grown));
        assert!(!limiter.refused());
        assert!(
            limiter
                .memory_growing(60, 61, None)
                .is_ok_and(|grown| !grown)
        );
        assert!(limiter.refused());
        assert_eq!(limiter.peak(), 100);
    }

    #[test]
    fn a_bound_that_the_plugin_set_itself_is_not_the_limit() {
        let mut limiter = MemoryLimiter::new(100);
        assert!(
            limiter
                .memory_growing(0, 60, Some(50))
                .is_ok_and(|grown| !grown)
        );
        assert!(!limiter.refused());
    }
}
