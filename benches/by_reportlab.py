"""What a city would write instead: plates on A4 with ReportLab and segno, no proof. Prints plates a second.

    pip install reportlab segno brotli && python3 benches/by_reportlab.py [COUNT]
"""
import io, random, sys, time
from pathlib import Path

import brotli, segno
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen import canvas

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
FONTS = Path(__file__).parent.parent / "assets/fonts"

for name in ("Regular", "Bold"):
    font = brotli.decompress((FONTS / f"NotoSansSC-{name}.ttf.br").read_bytes())
    pdfmetrics.registerFont(TTFont(name, io.BytesIO(font)))

rng = random.Random(1)
ideograph = lambda at: chr(0x4E00 + at * 7 % 6000)
start = time.perf_counter()
out = io.BytesIO()
pdf = canvas.Canvas(out, pagesize=(210 * mm, 297 * mm))
for at in range(COUNT):
    token = "".join(rng.choice(ALPHABET) for _ in range(12))
    place = at % 8
    if place == 0 and at:
        pdf.showPage()
    left, bottom = (14 + place % 2 * 92) * mm, (297 - 80 - place // 2 * 62) * mm
    pdf.saveState()
    pdf.translate(left, bottom)
    pdf.setFillColorRGB(0.42, 0.25, 0.11)
    pdf.rect(0, 47 * mm, 90 * mm, 13 * mm, stroke=0, fill=1)
    pdf.setFillColorRGB(1, 1, 1)
    pdf.setFont("Bold", 20)
    pdf.drawCentredString(45 * mm, 51 * mm, "污水井盖")
    pdf.setFillColorRGB(0, 0, 0)
    for y, size, font, text in (
        (40, 13.5, "Bold", f"3705{at % 5 + 2:02} 01 {at % 9 + 1:02} {at + 1:06}"),
        (33, 8.5, "Regular", f"位置  {ideograph(at % 500 + 200)}{ideograph(at % 300 + 700)}路"),
        (26, 8.5, "Regular", f"权属  东营市{ideograph(at % 400)}{ideograph(at % 300 + 400)}排水管理处"),
        (18, 20, "Bold", "0546-12345"),
        (8, 9, "Bold", "只用于查看和上报, 不收费"),
    ):
        pdf.setFont(font, size)
        pdf.drawString(41.5 * mm, y * mm, text)
    pdf.setFont("Bold", 9.5)
    pdf.drawCentredString(23 * mm, 6 * mm, "-".join(token[i : i + 4] for i in (0, 4, 8)))
    qr = segno.make(f"HTTPS://LID.DONGYING.GOV.CN/C/{token}", error="h", micro=False, boost_error=False)
    rows = [bytes(row) for row in qr.matrix]
    module = 36.5 / (len(rows) + 8) * mm
    path = pdf.beginPath()
    for y, row in enumerate(rows):
        x = 0
        while x < len(row):
            end = x
            while end < len(row) and row[end]:
                end += 1
            if end > x:
                path.rect(5 * mm + (4 + x) * module, 9.5 * mm + (4 + len(rows) - 1 - y) * module, (end - x) * module, module)
            x = max(end, x + 1)
    pdf.drawPath(path, stroke=0, fill=1)
    pdf.restoreState()
pdf.save()
took = time.perf_counter() - start
print(f"{COUNT} plates, {took:.2f} s, {COUNT / took:.0f} plates/s, {len(out.getvalue()) / COUNT:.0f} B a plate")
