//! Answers on standard output: tables for people, JSON for programs.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::cli::OutputFormat;

/// Where answers go. Only answers: progress and errors are on standard error.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    format: OutputFormat,
}

impl Output {
    pub fn new(format: OutputFormat) -> Self {
        Output { format }
    }

    /// Whether answers are JSON.
    pub fn is_json(self) -> bool {
        self.format == OutputFormat::Json
    }

    /// Whether progress may be shown: a person is watching.
    pub fn shows_progress(self) -> bool {
        io::stderr().is_terminal()
    }

    /// The answer as JSON, or as the text that `render` makes of it.
    pub fn write<T: Serialize>(self, answer: &T, render: impl FnOnce(&T) -> String) -> io::Result<()> {
        match self.format {
            OutputFormat::Json => self.text(&serde_json::to_string_pretty(answer)?),
            OutputFormat::Table => self.text(&render(answer)),
        }
    }

    /// Text as it is, with a line end.
    pub fn text(self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{}", text.trim_end())?;
        out.flush()
    }
}
