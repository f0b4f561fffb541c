//! What is not a fitting component is refused with the reason.

use jobcell_plugin_host::LoadError;

use crate::support::HOST;

fn refused(bytes: &[u8]) -> LoadError {
    match HOST.load("test", bytes) {
        Err(error) => error,
        Ok(_) => panic!("it was loaded"),
    }
}

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[test]
fn refuses_a_core_module() {
    let module = wat::parse_str("(module)").unwrap();
    assert!(matches!(refused(&module), LoadError::CoreModule));
}

#[test]
fn refuses_a_truncated_file_and_noise() {
    let whole = jobcell_bundle::hostile().component;
    assert!(matches!(
        refused(&whole[..whole.len() / 2]),
        LoadError::Compile(_)
    ));
    assert!(matches!(refused(b""), LoadError::Compile(_)));
    assert!(matches!(refused(&[0x7f; 4096]), LoadError::Compile(_)));
}

#[test]
fn refuses_a_precompiled_image() {
    let engine = wasmtime::Engine::default();
    let image = engine
        .precompile_component(&component("(component)"))
        .unwrap();
    assert!(matches!(refused(&image), LoadError::Precompiled));
}

#[test]
fn refuses_sockets_and_names_the_import() {
    let bytes = component("(component (import \"wasi:sockets/network@0.2.0\" (instance)))");
    match refused(&bytes) {
        LoadError::Import { import } => assert_eq!(import, "wasi:sockets/network@0.2.0"),
        other => panic!("{other}"),
    }
}

#[test]
fn refuses_an_interface_that_is_not_granted() {
    let bytes = component("(component (import \"jobcell:plugin/sql@1.0.0\" (instance)))");
    match refused(&bytes) {
        LoadError::Import { import } => assert_eq!(import, "jobcell:plugin/sql@1.0.0"),
        other => panic!("{other}"),
    }
}

#[test]
fn refuses_a_component_that_exports_no_job_type() {
    assert!(matches!(
        refused(&component("(component)")),
        LoadError::Contract(_)
    ));
}

#[test]
fn refuses_an_interface_that_nobody_knows() {
    for import in [
        "example:other/thing@1.0.0",
        "jobcell:plugin/telepathy@1.0.0",
        "jobcell:plugin/run-context@2.0.0",
        "wasi:http/outgoing-handler@0.2.0",
    ] {
        let bytes = component(&format!("(component (import \"{import}\" (instance)))"));
        match refused(&bytes) {
            LoadError::Import { import: named } => assert_eq!(named, import),
            other => panic!("{import}: {other}"),
        }
    }
}

/// A job type whose core module is this; each function does nothing.
fn job_type(parts: &str) -> Vec<u8> {
    component(&format!(
        "(component
            (core module $module (func (export \"f\")) {parts})
            (core instance $core (instantiate $module))
            (func $f (canon lift (core func $core \"f\")))
            (instance $job-type
                (export \"describe\" (func $f))
                (export \"validate\" (func $f))
                (export \"run\" (func $f)))
            (export \"jobcell:plugin/job-type@1.0.0\" (instance $job-type)))"
    ))
}

fn described(bytes: &[u8]) -> String {
    match refused(bytes) {
        LoadError::Description { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn refuses_a_job_type_of_another_shape() {
    let reason = described(&job_type(""));
    assert!(reason.contains("rules of its interface"), "{reason}");
}

#[test]
fn a_loop_at_the_start_of_a_plugin_ends() {
    let reason = described(&job_type("(func $spin (loop br 0)) (start $spin)"));
    assert!(reason.contains("did not answer"), "{reason}");
}

#[test]
fn refuses_more_memory_at_the_start_than_a_plugin_may_have() {
    let reason = described(&job_type("(memory 60000)"));
    assert!(reason.contains("`guest_memory`"), "{reason}");
}

#[test]
fn refuses_a_large_table_and_many_memories() {
    for parts in [
        "(table 50000000 funcref)",
        "(memory 600) (memory 600) (memory 600)",
    ] {
        let error = refused(&job_type(parts));
        // The pool refuses the shape; without one the limit of memory does.
        let fits = match &error {
            LoadError::Compile(_) | LoadError::Contract(_) => true,
            LoadError::Description { reason } => reason.contains("`guest_memory`"),
            _ => false,
        };
        assert!(fits, "{parts}: {error:?}");
    }
}

#[test]
fn refuses_memory_that_is_shared_between_threads() {
    let error = refused(&job_type("(memory 1 2 shared)"));
    assert!(matches!(error, LoadError::Compile(_)), "{error:?}");
}

#[test]
fn refuses_what_is_too_large_to_compile() {
    let bytes = vec![0; (64 << 20) + 1];
    assert!(matches!(refused(&bytes), LoadError::TooLarge { .. }));
}
