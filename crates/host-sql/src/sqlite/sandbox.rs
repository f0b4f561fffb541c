//! Decides what a statement may do besides reading and writing its own
//! database, and notes what it does. Never sees a row.
//!
//! SQLite asks while it compiles a statement, and again for statements that a
//! running one compiles inside (VACUUM, tables backed by pragmas).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization, TransactionOperation};

use crate::sqlite::prepared::Traits;

/// What the statement at hand was seen to do.
#[derive(Default)]
pub(crate) struct Sandbox {
    seen: Mutex<Seen>,
    running: AtomicBool,
}

#[derive(Default)]
struct Seen {
    traits: Traits,
    denied: Option<String>,
}

impl Sandbox {
    /// The callback to install in a connection.
    pub(crate) fn authorizer(
        self: &Arc<Self>,
    ) -> impl FnMut(AuthContext<'_>) -> Authorization + Send + 'static {
        let sandbox = Arc::clone(self);
        move |context| sandbox.decide(&context)
    }

    /// Forgets what was seen.
    pub(crate) fn begin(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen::default();
    }

    /// Whether a compiled statement runs now.
    pub(crate) fn set_running(&self, running: bool) {
        self.running.store(running, Ordering::Relaxed);
    }

    /// What was seen since [`Self::begin`].
    pub(crate) fn traits(&self) -> Traits {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .traits
    }

    /// Why something was refused since [`Self::begin`], if it was.
    pub(crate) fn take_denied(&self) -> Option<String> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .denied
            .take()
    }

    fn decide(&self, context: &AuthContext<'_>) -> Authorization {
        let verdict = judge(&context.action, self.running.load(Ordering::Relaxed));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match verdict {
            Ok(traits) => {
                seen.traits = seen.traits.and(traits);
                Authorization::Allow
            }
            Err(reason) => {
                seen.denied.get_or_insert(reason);
                Authorization::Deny
            }
        }
    }
}

const READS: Traits = Traits {
    acts: false,
    marks_session: false,
    wants_fresh_counters: false,
};
const ACTS: Traits = Traits {
    acts: true,
    ..READS
};
const MARKS: Traits = Traits {
    acts: true,
    marks_session: true,
    ..READS
};
const BEGINS: Traits = Traits {
    acts: true,
    wants_fresh_counters: true,
    ..READS
};
const COUNTS: Traits = Traits {
    wants_fresh_counters: true,
    ..READS
};

fn judge(action: &AuthAction<'_>, running: bool) -> Result<Traits, String> {
    match *action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => Ok(READS),
        AuthAction::Function { function_name } => judge_function(function_name),
        AuthAction::Pragma {
            pragma_name,
            pragma_value,
        } => judge_pragma(pragma_name, pragma_value),
        AuthAction::Transaction {
            operation: TransactionOperation::Begin,
        }
        | AuthAction::Savepoint {
            operation: TransactionOperation::Begin,
            ..
        } => Ok(BEGINS),
        AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::CreateTempView { .. }
        | AuthAction::DropTempIndex { .. }
        | AuthAction::DropTempTable { .. }
        | AuthAction::DropTempTrigger { .. }
        | AuthAction::DropTempView { .. } => Ok(MARKS),
        // A plain VACUUM attaches a nameless temporary database while it runs.
        AuthAction::Attach { filename: "" } if running => Ok(ACTS),
        AuthAction::Attach { .. } | AuthAction::Detach { .. } => Err(OTHER_FILES.to_owned()),
        AuthAction::CreateVtable { module_name, .. } => judge_module(module_name),
        AuthAction::Unknown {
            code: rusqlite::ffi::SQLITE_ATTACH,
            ..
        } => Err(OTHER_FILES.to_owned()),
        AuthAction::Unknown { code, .. } => Err(format!(
            "this statement is not allowed here (SQLite's action {code})"
        )),
        _ => Ok(ACTS),
    }
}

const OTHER_FILES: &str = "ATTACH, DETACH and VACUUM INTO are not allowed: an SQL job uses only its connection's own database; add the other file as a connection of its own";

fn judge_function(name: &str) -> Result<Traits, String> {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    if is("load_extension") || is("fts3_tokenizer") {
        return Err(format!(
            "the function {name} is not allowed: it runs code from outside the database"
        ));
    }
    if is("last_insert_rowid") || is("changes") || is("total_changes") {
        return Ok(COUNTS);
    }
    Ok(READS)
}

fn judge_module(name: &str) -> Result<Traits, String> {
    let known = [
        "fts3",
        "fts4",
        "fts4aux",
        "fts5",
        "fts5vocab",
        "rtree",
        "rtree_i32",
        "geopoly",
    ];
    if known.iter().any(|module| name.eq_ignore_ascii_case(module)) {
        return Ok(ACTS);
    }
    Err(format!(
        "a virtual table of the module {name} is not allowed; allowed: {}",
        known.join(", ")
    ))
}

/// Pragmas that take a value and leave nothing behind in the session.
const PLAIN: &[&str] = &[
    "application_id",
    "foreign_key_check",
    "foreign_key_list",
    "incremental_vacuum",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "optimize",
    "quick_check",
    "shrink_memory",
    "table_info",
    "table_list",
    "table_xinfo",
    "user_version",
    "wal_checkpoint",
];

/// Pragmas that change the session; the connection is not reused after them.
const OF_SESSION: &[&str] = &[
    "analysis_limit",
    "auto_vacuum",
    "automatic_index",
    "case_sensitive_like",
    "cell_size_check",
    "defer_foreign_keys",
    "foreign_keys",
    "ignore_check_constraints",
    "legacy_alter_table",
    "query_only",
    "read_uncommitted",
    "recursive_triggers",
    "reverse_unordered_selects",
    "secure_delete",
];

/// Pragmas that may be asked and not set.
const ASKED_ONLY: &[&str] = &[
    "busy_timeout",
    "cache_size",
    "collation_list",
    "compile_options",
    "data_version",
    "encoding",
    "freelist_count",
    "function_list",
    "journal_mode",
    "journal_size_limit",
    "locking_mode",
    "max_page_count",
    "mmap_size",
    "module_list",
    "page_count",
    "page_size",
    "pragma_list",
    "schema_version",
    "synchronous",
    "temp_store",
    "trusted_schema",
    "wal_autocheckpoint",
];

fn judge_pragma(name: &str, value: Option<&str>) -> Result<Traits, String> {
    let within = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
    if within(PLAIN) {
        return Ok(ACTS);
    }
    if within(OF_SESSION) {
        return Ok(if value.is_some() { MARKS } else { READS });
    }
    // Many scripts open with `PRAGMA journal_mode = WAL`, which changes nothing.
    let stays = name.eq_ignore_ascii_case("journal_mode")
        && value.is_some_and(|mode| mode.eq_ignore_ascii_case("wal"));
    if within(ASKED_ONLY) && (value.is_none() || stays) {
        return Ok(READS);
    }
    if within(ASKED_ONLY) {
        return Err(format!(
            "PRAGMA {name} can be asked but not set by a job: the connection's configuration decides it"
        ));
    }
    Err(format!(
        "PRAGMA {name} is not allowed here: it reaches beyond the connection's own database"
    ))
}

#[cfg(test)]
mod tests {
    use super::{ACTS, MARKS, READS, judge, judge_pragma};
    use rusqlite::hooks::AuthAction;

    #[test]
    fn only_a_running_vacuum_may_attach() {
        let nameless = AuthAction::Attach { filename: "" };
        assert!(judge(&nameless, false).is_err());
        assert_eq!(judge(&nameless, true), Ok(ACTS));
        assert!(judge(&AuthAction::Attach { filename: "/etc/x" }, true).is_err());
    }

    #[test]
    fn pragmas_fall_into_their_classes() {
        assert_eq!(judge_pragma("Table_Info", Some("t")), Ok(ACTS));
        assert_eq!(judge_pragma("foreign_keys", Some("off")), Ok(MARKS));
        assert_eq!(judge_pragma("foreign_keys", None), Ok(READS));
        assert_eq!(judge_pragma("journal_mode", Some("wal")), Ok(READS));
        assert!(judge_pragma("journal_mode", Some("off")).is_err());
        assert!(judge_pragma("writable_schema", Some("1")).is_err());
        assert!(judge_pragma("database_list", None).is_err());
    }
}
