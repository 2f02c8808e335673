"""Small files of several kinds, as bytes."""

from tests.support.files import docx, eml, pdf

TEXT_PDF = pdf([[("Cells cost 68 euros.", 10)]])
WORD = docx([("Normal", "Cells cost 68 euros.")])
HTML = b"<!DOCTYPE html><html><body><p>68 euros</p></body></html>"
TABLE = b"name,price,place\ncell,68,Oslo\npack,70,Rome\nbolt,1,Bonn\n"
MAIL = eml("68 euros")
BOX = b"From a@example.org Mon Mar  3 10:00:00 2025\n" + MAIL
