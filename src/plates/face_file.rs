//! A face written as the file that [`Face::from_toml`] reads: what the designer makes is a file like any other.

use std::fmt::Write;

use super::face::{Align, Area, Face, Ink, Outline, Weight};

impl Face {
    /// The face as a file; reading it gives the same face.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        self.write(&mut out).expect("memory takes what is written");
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        for (key, text) in [("id", &self.id), ("name_zh", &self.name_zh), ("name_en", &self.name_en)] {
            writeln!(out, "{key} = {}", quoted(text))?;
        }
        match self.outline {
            Outline::Rect { width, height, radius } => writeln!(
                out,
                "outline = {{ shape = \"rect\", width = {width}, height = {height}, radius = {radius} }}"
            )?,
            Outline::Circle { d } => writeln!(out, "outline = {{ shape = \"circle\", d = {d} }}")?,
            Outline::Oval { width, height } => {
                writeln!(out, "outline = {{ shape = \"oval\", width = {width}, height = {height} }}")?;
            }
        }
        writeln!(out, "safe = {}", self.safe)?;
        for (key, text) in [("notice", &self.notice), ("notice_en", &self.notice_en)] {
            writeln!(out, "{key} = {}", quoted(text))?;
        }
        if !self.holes.is_empty() {
            writeln!(out, "holes = [")?;
            for hole in &self.holes {
                writeln!(out, "  {{ x = {}, y = {}, d = {} }},", hole.x, hole.y, hole.d)?;
            }
            writeln!(out, "]")?;
        }
        writeln!(out, "\n[qr]\nx = {}\ny = {}\nsize = {}", self.qr.x, self.qr.y, self.qr.w)?;
        if let Some(band) = self.band {
            writeln!(out, "\n[band]")?;
            area(out, band)?;
        }
        for text in &self.texts {
            writeln!(out, "\n[[text]]\nshow = {}", quoted(&text.show))?;
            if let Some(blank) = &text.blank {
                writeln!(out, "blank = {}", quoted(blank))?;
            }
            area(out, text.area)?;
            writeln!(out, "size = {}\nmin = {}", text.size_pt, text.min_pt)?;
            if text.lines != 1 {
                writeln!(out, "lines = {}", text.lines)?;
            }
            if text.weight == Weight::Bold {
                writeln!(out, "weight = \"bold\"")?;
            }
            match text.align {
                Align::Left => {}
                Align::Center => writeln!(out, "align = \"center\"")?,
                Align::Right => writeln!(out, "align = \"right\"")?,
            }
            match text.ink {
                Ink::Black => {}
                Ink::Gray => writeln!(out, "ink = \"gray\"")?,
                Ink::ClassInk => writeln!(out, "ink = \"class_ink\"")?,
            }
        }
        Ok(())
    }
}

fn area(out: &mut String, Area { x, y, w, h }: Area) -> std::fmt::Result {
    writeln!(out, "x = {x}\ny = {y}\nw = {w}\nh = {h}")
}

fn quoted(text: &str) -> toml::Value {
    toml::Value::String(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_face_that_is_written_is_read_as_the_same_face() {
        for mut face in Face::built_in() {
            assert_eq!(Face::from_toml(&face.to_toml()).as_ref(), Ok(&face), "{}", face.id);
            face.notice = "\"引号\" \\ 与 \n 换行".into();
            assert_eq!(Face::from_toml(&face.to_toml()).as_ref(), Ok(&face));
        }
    }
}
