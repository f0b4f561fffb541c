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
fn refuses_what_is_too_large_to_compile() {
    let bytes = vec![0; (64 << 20) + 1];
    assert!(matches!(refused(&bytes), LoadError::TooLarge { .. }));
}
