//! Sets up wasmtime: pooled instances where the system has the address space,
//! instances on demand elsewhere. Never loads a plugin.

use std::future::Future;

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store, component,
};

/// How instances get their memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocation {
    /// From slots that are set up once.
    Pooling,
    /// Each from the system.
    OnDemand,
}

/// Stack of a plugin, in bytes.
const WASM_STACK: usize = 512 << 10;
/// Stack of a plugin and of the host functions that it calls.
const FIBER_STACK: usize = 2 << 20;
/// Core instances of one component: its own, the adapters around it, and the
/// shared libraries that a Python component brings along.
const CORE_INSTANCES: u32 = 64;
/// Memories of one component: its own, and one of an adapter.
const MEMORIES: u32 = 2;
/// Tables of one component.
const TABLES: u32 = 4;
/// The largest memory that a slot can hold. Bounds nothing but addresses: each
/// run's limiter decides what a plugin may really have.
const SLOT: usize = 4 << 30;
/// Entries of one table.
const TABLE_ENTRIES: usize = 100_000;
/// What of a memory is wiped in place rather than given back to the system: the
/// pages that a small plugin writes. Where the kernel tells which those are
/// (Linux 6.7), a run then takes no page fault and gives nothing back.
const KEPT_RESIDENT: usize = 256 << 10;

/// The smallest component with a memory, which shows whether a pool can be used
/// at all: `(component (core module (memory 1)) (core instance (instantiate 0)))`.
const PROBE: &[u8] = b"\0asm\x0d\0\x01\0\
    \x01\x0d\0asm\x01\0\0\0\x05\x03\x01\0\x01\
    \x02\x04\x01\0\0\0";

/// An engine with a pool, or without one where a pool does not work.
pub(crate) fn start(instances: u32) -> wasmtime::Result<(Engine, Allocation)> {
    match pooled(instances) {
        Ok(engine) => Ok((engine, Allocation::Pooling)),
        Err(error) => {
            tracing::warn!(%error, "no pool of instances (too little address space?): each run allocates its own");
            Ok((Engine::new(&frugal())?, Allocation::OnDemand))
        }
    }
}

fn pooled(instances: u32) -> wasmtime::Result<Engine> {
    let mut pool = PoolingAllocationConfig::new();
    // So many of each that a run which got a place always gets its parts.
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES))
        .total_memories(instances.saturating_mul(MEMORIES))
        .total_tables(instances.saturating_mul(TABLES))
        .total_stacks(instances)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .table_elements(TABLE_ENTRIES)
        .max_memory_size(SLOT)
        .linear_memory_keep_resident(KEPT_RESIDENT)
        .table_keep_resident(KEPT_RESIDENT)
        .pagemap_scan(Enabled::Auto);
    let mut config = config();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = Engine::new(&config)?;
    probe(&engine)?;
    Ok(engine)
}

fn probe(engine: &Engine) -> wasmtime::Result<()> {
    let component = component::Component::new(engine, PROBE)?;
    let mut store = Store::new(engine, ());
    store.set_epoch_deadline(1);
    let linker = component::Linker::new(engine);
    let instance = linker.instantiate_pre(&component)?;
    // Nothing in it can wait, so polling it once is enough.
    let mut future = std::pin::pin!(instance.instantiate_async(&mut store));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(instance) => instance.map(|_| ()),
        std::task::Poll::Pending => Err(wasmtime::Error::msg("the probe did not end")),
    }
}

/// Without the gigabytes of addresses that each memory reserves by default:
/// where there was no room for a pool, there is none for those either.
fn frugal() -> Config {
    let mut config = config();
    config
        .memory_reservation(0)
        .memory_reservation_for_growth(4 << 20)
        .memory_guard_size(64 << 10);
    config
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK)
        .memory_init_cow(true)
        .parallel_compilation(true);
    config
}
