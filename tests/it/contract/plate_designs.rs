//! The designer of faces and the measuring of printers over HTTP.

use lidmark::domain::role::Role;
use serde_json::json;

use super::house::{As, House};

const ENGINEER: As = As::Staff(Role::Engineer);
const DESIGNER: &str = "/admin/plates/designer";
const PRINTERS: &str = "/admin/plates/printers";

pub async fn designs(house: &House) {
    let page =
        house.get(ENGINEER, &format!("{DESIGNER}?face=round-80&level=Q&finish=mono")).expect(200).await;
    assert!(page.text().contains("preview.svg?face=round-80"), "{}", page.text());
    let svg = house
        .get(ENGINEER, &format!("{DESIGNER}/preview.svg?face=round-80&show0=%E6%8A%A5%E4%BF%AE"))
        .expect(200)
        .await;
    assert!(svg.text().contains("<path id=\"symbol\"") && !svg.text().contains("<text"));
    let file =
        house.get(ENGINEER, &format!("{DESIGNER}/face.toml?id=own-80&face=round-80")).expect(200).await;
    assert!(lidmark::plates::Face::from_toml(&file.text()).is_ok_and(|face| face.id == "own-80"));

    // Whatever is typed is answered, and what does not fit says what would.
    for (query, status) in [
        ("holes=6+6", 422),
        ("qr_size=wide", 422),
        ("qr_size=-1", 422),
        ("qr_size=1e300", 422),
        ("qr_x=NaN", 422),
        ("show0=%F0%9F%9A%B0", 422),
        ("show0=%7Bnobody%7D", 422),
        ("ground=%23ffffff&ink=%23fffffe", 422),
        ("face=none", 422),
        ("class=castle", 422),
        ("shape=star", 422),
        ("width=9", 422),
        ("width=-90&height=60", 422),
        ("width=1e300&height=1e300", 422),
        ("shape=circle&width=60", 422),
        ("radius=31", 422),
        ("radius=-1", 422),
        ("height=50", 422),
        ("text0_x=left", 422),
        ("text0_x=60", 422),
        ("text0_x=1e308&text0_w=1e308", 422),
        ("text0_w=-5", 422),
        ("text0_w=0", 422),
        ("text2_x=20", 422),
        ("text4_size=401", 422),
        ("text4_size=5&text4_min=6", 422),
        ("text0_align=up", 422),
        ("text7_drop=1", 422),
        ("show11=%7Broad", 422),
        ("show11=far&text11_x=200", 422),
        ("text300_x=1", 400),
        ("text0_color=1", 400),
        ("teapot=1", 400),
    ] {
        house.get(ENGINEER, &format!("{DESIGNER}/preview.svg?{query}")).expect(status).await;
    }
    // A plate of another shape, with a text moved and one more.
    let other = "face=round-80&shape=rect&width=120&height=80&radius=10&qr_x=43&holes=&show9=%E6%8A%A5%E4%BF%AE&text9_x=84&text9_y=40&text9_w=20&text9_h=5&text9_align=center&text9_weight=bold";
    let svg = house.get(ENGINEER, &format!("{DESIGNER}/preview.svg?{other}")).expect(200).await.text();
    assert!(svg.contains("<rect width=\"120\" height=\"80\" rx=\"10\"/>"), "{svg:.300}");
    let file =
        house.get(ENGINEER, &format!("{DESIGNER}/face.toml?id=own-120&{other}")).expect(200).await.text();
    let face = lidmark::plates::Face::from_toml(&file).unwrap();
    let added = face.texts.last().unwrap();
    assert_eq!((added.show.as_str(), added.area.x, added.area.w), ("报修", 84.0, 20.0));
    assert_eq!(face.outline.size(), (120.0, 80.0));
    let fewer = house.get(ENGINEER, &format!("{DESIGNER}/face.toml?text1_drop=1")).expect(200).await.text();
    assert_eq!(lidmark::plates::Face::from_toml(&fewer).unwrap().texts.len(), 10);
    // All that does not fit is said, each at its field.
    let wrong = "text0_x=60&text2_x=20&text7_min=2&text3_x=left";
    let page = house
        .get(ENGINEER, &format!("{DESIGNER}?{wrong}"))
        .header("accept-language", "en")
        .expect(200)
        .await
        .text();
    assert!(page.contains("id=\"beside-text3_x\">left is no number"), "{page}");
    let page = house
        .get(ENGINEER, &format!("{DESIGNER}?{}", wrong.trim_end_matches("&text3_x=left")))
        .header("accept-language", "en");
    let page = page.expect(200).await.text();
    for (name, words) in [
        ("text0", "Text box 1 leaves the plate"),
        ("text2", "Text box 3 lies on the square"),
        ("text7", "Sizes of text box 8"),
    ] {
        assert!(page.contains(&format!("id=\"beside-{name}\">{words}")), "{name}: {page}");
    }
    // The page itself stays open for another try.
    let page = house.get(ENGINEER, &format!("{DESIGNER}?qr_size=18")).expect(200).await;
    assert!(page.text().contains("id=\"wrong\""), "{}", page.text());

    let keep = |id| {
        house.post(ENGINEER, DESIGNER).form(&[
            ("face", "round-80"),
            ("id", id),
            ("class", "gas"),
            ("ground", "#004400"),
            ("ink", "#ffffff"),
            ("colors", "1"),
        ])
    };
    keep("round-80").expect(422).await;
    keep("../own").expect(422).await;
    let kept = keep("own-80").expect(303).await;
    assert_eq!(kept.header("location"), Some("/admin/plates/designer?face=own-80"));
    let order = json!({"count": 2, "face": "own-80"});
    house.post(ENGINEER, "/api/v1/plate-batches").json(order).expect(201).await;
    let page = house.get(ENGINEER, &format!("{DESIGNER}?class=gas")).expect(200).await;
    assert!(page.text().contains("value=\"#004400\""), "the colors of a class are kept");

    house.get(ENGINEER, &format!("{PRINTERS}/calibration.pdf?sheet=single")).expect(422).await;
    let pdf = house.get(ENGINEER, &format!("{PRINTERS}/calibration.pdf?sheet=a4")).expect(200).await;
    assert_eq!(pdf.header("content-type"), Some("application/pdf"));
    let measured = |across| {
        let fields = [
            ("name", "Kyocera 2"),
            ("sheet", "a4"),
            ("left", "10,5"),
            ("top", "9.8"),
            ("across", across),
            ("down", "250"),
        ];
        house.post(ENGINEER, PRINTERS).form(&fields)
    };
    measured("140").expect(422).await;
    measured("wide").expect(422).await;
    measured("160").expect(303).await;
    let page = house.get(ENGINEER, PRINTERS).expect(200).await;
    assert!(page.text().contains("Kyocera 2"), "{}", page.text());
    let order = json!({"count": 2, "printer": "Kyocera 2"});
    house.post(ENGINEER, "/api/v1/plate-batches").json(order).expect(201).await;
}
