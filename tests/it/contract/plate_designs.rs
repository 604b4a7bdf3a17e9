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
        ("teapot=1", 400),
    ] {
        house.get(ENGINEER, &format!("{DESIGNER}/preview.svg?{query}")).expect(status).await;
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
