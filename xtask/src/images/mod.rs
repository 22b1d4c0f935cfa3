//! `cargo xtask images`: the images of the Dockerfile as archives, each with its bill of materials.

mod bases;
mod bill;
mod builder;
mod size;

use std::path::{Path, PathBuf};

use crate::shell::{self, Error};
use builder::{Builder, Labels};

/// A target of the Dockerfile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its name there, and behind `forebay/`.
    pub target: &'static str,
    /// The package of its program.
    pub package: &'static str,
    /// The features that the program is built with.
    pub features: &'static str,
}

/// All of them.
pub const IMAGES: [Image; 6] = [
    image("registry", "forebay-registry", "vendored,program"),
    image("compute", "forebay-compute", "vendored"),
    image("ingestion", "forebay-ingestion", "vendored"),
    image("online-serving", "forebay-online-serving", "vendored"),
    image("offline-query", "forebay-offline-query", "vendored"),
    image("forebay", "forebay", "vendored"),
];

const fn image(target: &'static str, package: &'static str, features: &'static str) -> Image {
    Image {
        target,
        package,
        features,
    }
}

/// The version of all programs, and so of the images.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is asked for.
#[derive(Debug)]
pub struct Options {
    /// These targets; none: all.
    pub services: Vec<String>,
    /// The tag of all images.
    pub tag: String,
    /// Where the archives are put; by default `images` in the target folder.
    pub folder: Option<PathBuf>,
}

/// Builds the images, and shows what they weigh.
pub fn run(options: &Options) -> Result<(), Error> {
    let folder = build(options)?;
    println!(
        "\n{:<16} {:>12} {:>12} {:>12}",
        "image", "unpacked", "compressed", "bill"
    );
    for image in asked(&options.services)? {
        let archive = archive(&folder, image);
        let (unpacked, compressed) = size::of(&archive)?;
        let bill = bill::path(&folder, image);
        let bill = std::fs::metadata(&bill).map_err(Error::file(&bill))?.len();
        println!(
            "{:<16} {:>9.1} MB {:>9.1} MB {:>9.0} kB",
            image.target,
            unpacked as f64 / 1e6,
            compressed as f64 / 1e6,
            bill as f64 / 1e3
        );
    }
    println!("in {}", folder.display());
    Ok(())
}

/// Builds the images, `<target>.tar` each, into a folder, which it gives.
pub fn build(options: &Options) -> Result<PathBuf, Error> {
    let folder = options.folder.clone().unwrap_or_else(|| shell::target().join("images"));
    std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
    let images = asked(&options.services)?;
    let builder = Builder::find()?;
    let labels = Labels::of_checkout()?;
    let base = bases::build_image(&builder)?;
    for image in images {
        println!("building forebay/{}:{} with {builder}", image.target, options.tag);
        builder.build(image, &options.tag, &labels, &base, &archive(&folder, image))?;
        bill::write(&folder, image, &labels)?;
    }
    Ok(folder)
}

fn archive(folder: &Path, image: Image) -> PathBuf {
    folder.join(format!("{}.tar", image.target))
}

fn asked(services: &[String]) -> Result<Vec<Image>, Error> {
    if services.is_empty() {
        return Ok(IMAGES.to_vec());
    }
    let find = |name: &String| {
        let image = IMAGES.into_iter().find(|image| image.target == name);
        image.ok_or_else(|| {
            let all: Vec<_> = IMAGES.iter().map(|image| image.target).collect();
            Error::Other(format!("there is no image `{name}`; there are {}", all.join(", ")))
        })
    };
    services.iter().map(find).collect()
}

#[cfg(test)]
mod tests {
    use forebay_testbed::checkout;

    use super::*;

    fn dockerfile() -> String {
        std::fs::read_to_string(checkout().join("Dockerfile")).expect("the Dockerfile")
    }

    /// The packages that the Dockerfile hands to `program.sh`, behind their features.
    fn programs(dockerfile: &str) -> Vec<&str> {
        let joined = dockerfile.split("program.sh ").skip(1);
        joined
            .flat_map(|call| {
                let end = call
                    .match_indices('\n')
                    .find(|(at, _)| !call[..*at].ends_with('\\'))
                    .map_or(call.len(), |(at, _)| at);
                call[..end].split_whitespace().skip(1).filter(|word| *word != "\\")
            })
            .collect()
    }

    #[test]
    fn the_dockerfile_has_a_target_for_each_with_its_program() {
        let dockerfile = dockerfile();
        for image in IMAGES {
            assert!(
                dockerfile.contains(&format!("\nFROM runtime AS {}\n", image.target)),
                "{image:?}"
            );
            assert!(
                programs(&dockerfile).contains(&image.package),
                "{} is built by no program.sh",
                image.package
            );
            let copied = format!(" /out/{} ", image.package);
            assert!(dockerfile.contains(&copied), "{copied} goes into no image");
        }
    }

    #[test]
    fn the_dockerfile_has_the_toolchain_of_the_checkout() {
        let toolchain = std::fs::read_to_string(checkout().join("rust-toolchain.toml")).expect("there");
        let (_, channel) = toolchain.split_once("channel = \"").expect("a channel");
        let (channel, _) = channel.split_once('"').expect("a channel");
        assert!(dockerfile().contains(&format!("\nARG BUILD_IMAGE={}\n", bases::name(channel))));
    }

    #[test]
    fn unknown_images_are_refused() {
        let refused = asked(&["registy".to_owned()]).expect_err("no image");
        assert!(refused.to_string().contains("online-serving"));
    }
}
