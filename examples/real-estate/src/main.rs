//! Writes the example's tables and events.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Parser;
use serde::Serialize;

use forebay_example_real_estate::SEED;
use forebay_example_real_estate::clicks::clicks;
use forebay_example_real_estate::draw::Draw;
use forebay_example_real_estate::labels::labels;
use forebay_example_real_estate::listings::listings;
use forebay_example_real_estate::profiles::profiles;
use forebay_example_real_estate::sale::Sale;
use forebay_example_real_estate::tables::{labels_batch, listings_by_year, write_delta};

/// Makes the data of the real-estate example: two Delta tables and two files of rows.
#[derive(Debug, Parser)]
struct Arguments {
    /// The lake's folder; the tables are `listings` and `labels` in it.
    #[arg(long)]
    lake: PathBuf,
    /// The folder for `clicks.ndjson` and `profiles.ndjson`.
    #[arg(long)]
    events: PathBuf,
    /// Another seed gives other times, prices asked and visitors, of the same sales.
    #[arg(long, default_value_t = SEED)]
    seed: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let draw = Draw::new(arguments.seed);
    let sales = Sale::all()?;

    let rows = listings(&sales, draw);
    let version = write_delta(&arguments.lake.join("listings"), &listings_by_year(&rows)?).await?;
    println!(
        "{}: {} rows, version {version}",
        arguments.lake.join("listings").display(),
        rows.len()
    );
    let rows = labels(&sales, draw);
    let version = write_delta(&arguments.lake.join("labels"), &[labels_batch(&rows)?]).await?;
    println!(
        "{}: {} rows, version {version}",
        arguments.lake.join("labels").display(),
        rows.len()
    );

    std::fs::create_dir_all(&arguments.events)?;
    write_lines(&arguments.events.join("clicks.ndjson"), &clicks(&sales, draw))?;
    write_lines(&arguments.events.join("profiles.ndjson"), &profiles(draw))?;
    Ok(())
}

fn write_lines<T: Serialize>(path: &Path, rows: &[T]) -> Result<(), Box<dyn std::error::Error>> {
    let mut file = BufWriter::new(File::create(path)?);
    for row in rows {
        serde_json::to_writer(&mut file, row)?;
        file.write_all(b"\n")?;
    }
    file.flush()?;
    println!("{}: {} rows", path.display(), rows.len());
    Ok(())
}
