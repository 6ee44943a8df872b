"""Small PDF files, written by hand."""

import base64
import zlib


def pdf_of(*texts):
    """A PDF in base64 with one page for each text."""
    pages = range(len(texts))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(texts)} /Kids [{' '.join(f'{4 + 2 * n} 0 R' for n in pages)}] >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, text in enumerate(texts):
        stream = f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET"
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents {5 + 2 * number} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>",
            f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
        ]
    file = "%PDF-1.4\n"
    offsets = []
    for number, one in enumerate(objects, 1):
        offsets.append(len(file))
        file += f"{number} 0 obj\n{one}\nendobj\n"
    start = len(file)
    file += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n"
    file += "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    file += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    return base64.b64encode(file.encode("ascii")).decode("ascii")


def pdf_of_streams(*streams, times=1, resources=b"", objects=()):
    """A PDF in base64 with a page for each content stream (bytes), all of them named `times` times over.

    Streams are compressed. `resources` are more entries of the pages' resources, which may name `objects`,
    further objects as bytes; the first has the number 100.
    """
    names = b" ".join(b"%d 0 R" % (10 + 2 * n) for n in range(len(streams)))
    made = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Count %d /Kids [%b] >>" % (len(streams) * times, b" ".join([names] * times)),
        3: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    }
    for n, stream in enumerate(streams):
        made[10 + 2 * n] = (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> %b >> >>" % (11 + 2 * n, resources)
        )
        made[11 + 2 * n] = stream_object(stream)
    made |= dict(enumerate(objects, 100))
    file, offsets = b"%PDF-1.4\n", {}
    for number, one in made.items():
        offsets[number] = len(file)
        file += b"%d 0 obj\n%b\nendobj\n" % (number, one)
    start = len(file)
    file += b"xref\n0 1\n0000000000 65535 f \n"
    file += b"".join(b"%d 1\n%010d 00000 n \n" % entry for entry in offsets.items())
    file += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (max(made) + 1, start)
    return base64.b64encode(file).decode()


def stream_object(stream, entries=b""):
    """A compressed stream, with `entries` in its dictionary."""
    packed = zlib.compress(stream, 9)
    return b"<< /Length %d /Filter /FlateDecode %b >>\nstream\n%b\nendstream" % (len(packed), entries, packed)


def pdf_of_forms(*before, levels=12, breadth=100):
    """A PDF whose last page shows a form that shows a hundred, and so on: it takes a minute.

    The reader shows 5,000 forms at most, so the innermost is long. It has no text, of which enough is kept
    before the time is over.
    `before`: the content streams of pages in front of it.
    """
    again = [b"/F%d Do " % (level + 1) * breadth for level in range(levels)]
    entries = b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << %b >> >>"
    forms = [
        stream_object(stream, entries % (b"/F%d %d 0 R" % (level + 1, 101 + level)))
        for level, stream in enumerate(again)
    ]
    last = stream_object(b"BT 1 0 0 1 0 0 Tm ET " * 5_000, entries % b"")
    resources = b"/XObject << /F0 100 0 R >>"
    return pdf_of_streams(*before, b"/F0 Do", resources=resources, objects=[*forms, last])
