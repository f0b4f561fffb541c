//! Sets up wasmtime: pooled instances where the system has the address space,
//! instances on demand elsewhere. Never loads a plugin.

use std::future::Future;

use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store, component,
};

/// How instances get their memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocation {
    /// From slots that are set up once.
    Pooling,
    /// Each from the system.
    OnDemand,
}

/// What the engine has to hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) instances: u32,
    pub(crate) memory: u64,
}

/// Stack of a plugin, in bytes.
const WASM_STACK: usize = 512 << 10;
/// Stack of a plugin and of the host functions that it calls.
const FIBER_STACK: usize = 2 << 20;
/// Core instances of one component: its own, and the adapters around it.
const CORE_INSTANCES: u32 = 16;
/// Tables and memories of one component.
const PARTS: u32 = 8;
/// Entries of one table.
const TABLE_ENTRIES: usize = 100_000;
/// What of a memory is wiped in place rather than given back to the system.
const KEPT_RESIDENT: usize = 64 << 10;

/// The smallest component: shows whether a pool can be used at all.
const PROBE: &[u8] = b"\0asm\x0d\0\x01\0";

/// An engine with a pool, or without one where a pool does not work.
pub(crate) fn start(shape: Shape) -> wasmtime::Result<(Engine, Allocation)> {
    match pooled(shape) {
        Ok(engine) => Ok((engine, Allocation::Pooling)),
        Err(error) => {
            tracing::warn!(%error, "no pool of instances (too little address space?): each run allocates its own");
            Ok((Engine::new(&config())?, Allocation::OnDemand))
        }
    }
}

fn pooled(shape: Shape) -> wasmtime::Result<Engine> {
    let mut pool = PoolingAllocationConfig::new();
    let instances = shape.instances;
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES))
        .total_memories(instances.saturating_mul(2))
        .total_tables(instances.saturating_mul(4))
        .total_stacks(instances)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(PARTS)
        .max_tables_per_component(PARTS)
        .table_elements(TABLE_ENTRIES)
        .max_memory_size(usize::try_from(shape.memory).unwrap_or(usize::MAX))
        .linear_memory_keep_resident(KEPT_RESIDENT)
        .table_keep_resident(KEPT_RESIDENT);
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
