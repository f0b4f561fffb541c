//! Shows the problems of a job file the way compilers do: the line, a mark
//! under the place, a hint.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use jobcell_model::{Problem, Severity};

/// All problems of one file, ready to print.
pub(crate) fn render(file: &str, text: &str, problems: &[Problem], colour: bool) -> String {
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let shown: Vec<String> = problems
        .iter()
        .map(|problem| render_one(&renderer, file, text, problem))
        .collect();
    shown.join("\n\n")
}

fn render_one(renderer: &Renderer, file: &str, text: &str, problem: &Problem) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut report = Vec::new();
    let title = level
        .primary_title(problem.message.as_str())
        .id(problem.code);
    let mut group = match problem.line {
        Some(line) => {
            let span = span(text, line, problem.column.unwrap_or(1));
            let mark = AnnotationKind::Primary.span(span);
            title.element(Snippet::source(text).path(file).annotation(mark))
        }
        None => title.element(Level::NOTE.message(format!("in {file}"))),
    };
    if let Some(hint) = &problem.hint {
        group = group.element(Level::HELP.message(hint.as_str()));
    }
    report.push(group);
    renderer.render(&report).to_string()
}

/// The bytes from the place to the end of its word or line.
fn span(text: &str, line: u32, column: u32) -> std::ops::Range<usize> {
    let skip = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
    let mut start = 0;
    let mut lines = text.split_inclusive('\n');
    for passed in lines.by_ref().take(skip) {
        start += passed.len();
    }
    let line = lines.next().unwrap_or("").trim_end();
    let column = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
    let offset = line
        .char_indices()
        .nth(column)
        .map_or(line.len(), |(offset, _)| offset);
    let word = line[offset..]
        .find([':', ' ', ','])
        .filter(|&length| length > 0);
    let length = word
        .unwrap_or(line.len() - offset)
        .max(usize::from(offset < line.len()));
    start + offset..start + offset + length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_the_word_at_the_place() {
        let text = "id: a\nтип: б\n";
        assert_eq!(&text[span(text, 2, 1)], "тип");
        assert_eq!(&text[span(text, 1, 5)], "a");
    }

    #[test]
    fn survives_a_place_beyond_the_text() {
        assert_eq!(span("id: a", 9, 9), 5..5);
        assert_eq!(span("", 1, 1), 0..0);
    }
}
