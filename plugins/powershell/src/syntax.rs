//! Reads a script with a PowerShell grammar, to tell its author where that can't
//! follow. Never refuses a script: only PowerShell itself knows PowerShell.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tree_sitter::{Node, ParseOptions, Parser, Tree};

/// A script that is longer is not read.
const LONGEST: usize = 256 << 10;
/// How long reading may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// So many doubts are told.
const MOST: usize = 10;
/// So much of the text in doubt is shown, in characters.
const SHOWN: usize = 40;

/// A place where the grammar can't follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Doubt {
    /// From 1.
    pub(crate) line: u32,
    /// From 1, in characters.
    pub(crate) column: u32,
    pub(crate) message: String,
}

/// What is doubtful in a script, in order.
pub(crate) fn doubts(script: &str) -> Vec<Doubt> {
    if script.len() > LONGEST || script.trim().is_empty() {
        return Vec::new();
    }
    let Some(tree) = parse(script) else {
        return Vec::new();
    };
    let mut doubts = Vec::new();
    let mut cursor = tree.walk();
    let mut switches = 0_usize;
    // A walk without recursion: scripts may be nested deeper than any stack.
    loop {
        let node = cursor.node();
        let failed = node.is_error() || node.is_missing();
        if failed && switches == 0 && !is_known_gap(script, &node) {
            doubts.push(doubt(script, &node));
        }
        let goes_on = node.has_error() && !node.is_error();
        if goes_on && cursor.goto_first_child() {
            switches += usize::from(is_switch(&node));
            continue;
        }
        while !cursor.goto_next_sibling() {
            if doubts.len() >= MOST || !cursor.goto_parent() {
                doubts.truncate(MOST);
                return doubts;
            }
            switches -= usize::from(is_switch(&cursor.node()));
        }
    }
}

/// The grammar does not take several clauses of a `switch` on one line, which
/// PowerShell does.
fn is_switch(node: &Node<'_>) -> bool {
    node.kind().starts_with("switch")
}

/// Nor sizes in capitals, such as `1MB`, nor `a ? b : c` and `a ?? b` of
/// PowerShell 7.
fn is_known_gap(script: &str, node: &Node<'_>) -> bool {
    let line = first_line(script, node);
    let sizes = ["kb", "mb", "gb", "tb", "pb"];
    let size = sizes.iter().any(|size| line.eq_ignore_ascii_case(size));
    size || line.starts_with("??") || line.contains(" ? ")
}

/// The first line in doubt that says anything.
fn first_line<'a>(script: &'a str, node: &Node<'_>) -> &'a str {
    let text = script.get(node.byte_range()).unwrap_or_default();
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| !line.is_empty()).unwrap_or_default()
}

fn parse(script: &str) -> Option<Tree> {
    let mut parser = Parser::new();
    parser
        .set_language(&tree_sitter_powershell::LANGUAGE.into())
        .ok()?;
    let begun = Instant::now();
    let mut look = |_: &tree_sitter::ParseState| {
        if begun.elapsed() > PATIENCE {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let bytes = script.as_bytes();
    let options = ParseOptions::new().progress_callback(&mut look);
    parser.parse_with_options(
        &mut |from, _| &bytes[from.min(bytes.len())..],
        None,
        Some(options),
    )
}

fn doubt(script: &str, node: &Node<'_>) -> Doubt {
    let place = node.start_position();
    let line_start = node.start_byte().saturating_sub(place.column);
    let before = script
        .get(line_start..node.start_byte())
        .unwrap_or_default();
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Doubt {
        line: number(place.row + 1),
        column: number(before.chars().count() + 1),
        message: message(script, node),
    }
}

fn message(script: &str, node: &Node<'_>) -> String {
    if node.is_missing() {
        return format!("something seems to be missing here: `{}`", node.kind());
    }
    let shown: String = first_line(script, node).chars().take(SHOWN).collect();
    format!("the grammar of PowerShell can't make sense of this: `{shown}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[&str] = &[
        "",
        "Get-Date",
        "param([string]$Name, [string]$Greeting = \"Hello\")\nWrite-Host \"$Greeting, $Name\"\n",
        "#requires -Version 5.1\n<# a\n comment #>\n[CmdletBinding()]\nparam(\n  [Parameter(Mandatory = $true)]\n  [ValidateSet('a', 'b')]\n  [string[]]$Names,\n  [switch]$Force\n)\n$Names | ForEach-Object { \"$_\" }\n",
        "$text = @\"\nHello $Name and $($x.Count)\n\"@\n$other = @'\nno $thing\n'@\n",
        "Get-ChildItem -Path C:\\Temp -Recurse |\n  Where-Object { $_.Length -gt 1MB } |\n  Sort-Object Length -Descending |\n  Select-Object -First 10\n",
        "try { Get-Item x -ErrorAction Stop } catch [System.IO.IOException] { throw } catch { exit 3 } finally { 'done' }\n",
        "switch -Regex ($x) { '^a' { 1 } 'b$' { 2; break } default { 3 } }\n",
        "function Get-It([int]$n) { if ($n -le 1) { return 1 } elseif ($n -eq 2) { 2 } else { $n * (Get-It ($n - 1)) } }\n",
        "class Point { [int]$X; [int]$Y; Point([int]$x) { $this.X = $x } [int] Sum() { return $this.X + $this.Y } }\n",
        "enum Color { Red; Green = 5 }\n",
        "$h = @{ a = 1; 'b c' = @(1, 2, 3) }\n$p = @{ Path = 'x' }\nGet-Item @p\n",
        "foreach ($i in 1..10) { \"{0:N2}\" -f $i }\nfor ($i = 0; $i -lt 5; $i++) { $i }\nwhile ($true) { break }\ndo { $i-- } until ($i -le 0)\n",
        "& 'C:\\Program Files\\x.exe' -a b 2>&1 | Out-Null\ncmd /c dir > out.txt\n",
        "$s = 'Größe €'\r\nWrite-Output $s\r\n",
        "$a = { param($x) $x + 1 }\n& $a 5\n$b = $a.Invoke(3)[0]\n",
        "[System.IO.File]::ReadAllText('x')\n[math]::Round(1.5)\n$x = [pscustomobject]@{ A = 1 }\n",
        "if ($a -and -not $b -or $c -match 'x') { $Matches[1] }\n",
        "$env:PATH -split ';'\n${a b} = 1\n$global:x = $script:y\n",
        "Write-Error 'x'\nexit 1\n",
        "$x = $a ? 1 : 2\n$y = $b ?? 'none'\n$z ??= 5\nmake && echo done || exit 2\n",
        "icacls.exe --% C:\\x /grant Users:F\ngit log -- path\n",
        "#region A\nusing namespace System.IO\n#endregion\n",
        "trap { continue }\nbegin { 1 } process { $_ } end { 2 }\n",
        "$list = Get-Content x | Select-String 'a' -Context 2,3\n$list.Line[0..2] -join ','\n",
        "Invoke-Command -ComputerName $c -ScriptBlock { param($p) $using:x } -ArgumentList 1\n",
        "$xml = [xml](Get-Content a.xml)\n$xml.root.item | % { $_.name }\n",
        "if ((Get-Service -Name 'W32Time').Status -ne 'Running') {\n    Restart-Service W32Time\n}\n",
        "$size = 5gb + 10KB\n$hex = 0xFF\n$d = 1.5e3\n",
        "Get-WmiObject Win32_LogicalDisk -Filter \"DriveType=3\" | Select-Object @{ n = 'Free'; e = { [math]::Round($_.FreeSpace / 1GB, 2) } }\n",
        "$PSVersionTable.PSVersion | Out-String\n[int]$n = 5; [string]::IsNullOrEmpty($s)\n",
        "1..3 | ForEach-Object -Parallel { $_ } -ThrottleLimit 2\n",
        "Start-Process x -ArgumentList '-a', \"-b $c\" -Wait -NoNewWindow\n$LASTEXITCODE\n",
    ];

    #[test]
    fn good_scripts_raise_no_doubt() {
        let wrong: Vec<_> = GOOD
            .iter()
            .map(|script| (script, doubts(script)))
            .filter(|(_, doubts)| !doubts.is_empty())
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn a_doubt_has_its_place_in_characters() {
        for (script, line) in [
            ("Get-Date\nif ($a {\n  1\n}\n", 2),
            ("function x { Get-Date\n", 1),
            ("$ü = 'a\n", 1),
            ("foreach ($i on $x) { }\n", 1),
        ] {
            let found = doubts(script);
            assert!(!found.is_empty(), "{script}");
            assert!(found[0].line >= line && found[0].column >= 1, "{found:?}");
            assert!(found.len() <= MOST);
        }
        let found = doubts("$ü = 1; if ($ü {\n");
        assert_eq!(found[0].line, 1, "{found:?}");
    }

    #[test]
    fn hostile_scripts_take_no_stack_and_no_time() {
        let deep = "(".repeat(50_000);
        let pairs = format!("{}{}", "(".repeat(20_000), ")".repeat(20_000));
        let blocks = "{".repeat(50_000);
        let quotes = "'\"".repeat(100_000);
        let dollars = "$(".repeat(50_000);
        let huge = "x".repeat(1 << 20);
        for script in [&deep, &pairs, &blocks, &quotes, &dollars, &huge] {
            assert!(doubts(script).len() <= MOST);
        }
        assert!(doubts("\0\u{fffe}\u{1f600}").len() <= MOST);
    }
}
