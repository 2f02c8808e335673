"""Texts of many kinds by which a conversion is calibrated and, by others, checked."""

_PROSE = """\
The ferry left the northern harbour before sunrise, and by the time the fog had lifted the passengers could see both \
shores. A woman with a violin case asked the purser how long the crossing would take; he said that it depended on the \
tide, on the wind, and on whether the old engine would be in a good mood. Nobody laughed, for most of them had made \
the journey in winter and knew what it meant to drift for an hour within sight of the pier."""

_FILING = """\
Net revenue for the three months ended March 31 was $1,482.6 million, an increase of 7.4% over the prior-year period, \
driven by higher volumes in the industrial segment and partly offset by unfavourable foreign exchange of $23.1 \
million. Cost of sales rose to 61.2% of revenue. The Company repurchased 2.1 million shares at an average price of \
$54.30 and had $3.9 billion of long-term debt outstanding, of which $400 million falls due within twelve months. See \
Note 11, "Commitments and Contingencies", for proceedings that could have a material adverse effect."""

_SCIENCE = """\
We measured the heat flux through a laminar boundary layer on a slender cone at Mach 5.8. Surface temperature was \
held at 340 K while the angle of attack was varied from 0 to 12 degrees. The results agree with the similarity \
solution to within four per cent on the windward side; on the leeward side separation begins earlier than theory \
predicts, and the Stanton number falls by a factor of three. A correlation in terms of the local Reynolds number is \
proposed, and its limits are discussed."""

_CONTRACT = """\
7.2 Termination. Either party may terminate this Agreement upon sixty (60) days' prior written notice if the other \
party commits a material breach and fails to cure such breach within thirty (30) days after receipt of notice \
thereof. Upon termination, the Licensee shall (a) cease all use of the Software, (b) return or destroy all copies, \
and (c) certify in writing that it has done so. Sections 4, 8 and 11 survive."""

_TABLE = """\
Region | 2021 | 2022 | 2023
Europe | 412 | 398 | 431
Asia | 1,207 | 1,355 | 1,610
Americas | 988 | (1,020) | n/a
Total | 2,607 | 2,773 | 3,118"""

_CODE = """\
def merge(left: list[int], right: list[int]) -> list[int]:
    result = []
    while left and right:
        result.append(left.pop(0) if left[0] <= right[0] else right.pop(0))
    return result + left + right  # O(n²) because of pop(0)"""

_MAIL = """\
Hi Jonas, thanks for sending the minutes. Two corrections: the pump was replaced on Tuesday, not Monday, and the \
supplier's offer is valid until the end of the month. Could you forward the drawings to maria@example.com as well? \
I am out of the office on Friday; call me at +49 30 5550 0142 if anything is urgent. Best, Ilse"""

_BIOGRAPHY = """\
Amadou Keïta (born 14 May 1931 in Ségou; died 2 October 2004) was a Malian botanist and teacher. He studied in Dakar \
and Montpellier, catalogued more than two thousand plants of the inner Niger delta, and from 1968 directed the \
herbarium that now bears his name. His brother Moussa played football for the national team."""

_MEDICAL = """\
A 58-year-old man was admitted with chest pain radiating to the left arm, diaphoresis and dyspnoea. Troponin I was \
elevated at 4.2 ng/mL. Electrocardiography showed ST-segment elevation in leads II, III and aVF. He received aspirin \
300 mg and heparin, and underwent percutaneous coronary intervention within ninety minutes of arrival."""

_OTHER_LANGUAGES = """\
Der Vertrag tritt am ersten Januar in Kraft. Le conseil se réunira de nouveau en septembre. El informe anual fue \
publicado ayer. Договор был подписан в Москве. 会議は来週の月曜日に開かれます。 تم توقيع العقد أمس."""

CALIBRATION = (
    _PROSE,
    _FILING,
    _SCIENCE,
    _CONTRACT,
    _TABLE,
    _CODE,
    _MAIL,
    _BIOGRAPHY,
    _MEDICAL,
    _OTHER_LANGUAGES,
    f"{_SCIENCE}\n{_BIOGRAPHY}\n{_PROSE}",
    f"{_FILING}\n{_TABLE}\n{_CONTRACT}",
    "What was the company's operating margin in the second quarter?",
    "who directed the herbarium in mali",
    "How does the angle of attack change the heat flux on a cone?",
    "termination notice period",
    "Pumps",
    "42",
)

# None of these is among the texts above. The last are what documents hold when nobody looks.
CHECKS = (
    "Which supplier delivered the battery cells, and when does the agreement end?",
    "capital of Mongolia",
    "The committee approved the budget of 4.5 million euros after a debate of three hours.",
    "Photosynthesis turns light into chemical energy: water is split, oxygen is set free, and sugar is built.",
    "Item 1A. Risk Factors. We depend on a limited number of customers for a substantial share of our sales, and the "
    "loss of any of them, or a delay of their orders, could harm our results. " * 3,
    "In the spring of 1847 the valley was cut off for six weeks. Letters came over the pass by sledge; flour was "
    "shared out by the parish, and the school was heated with the benches of the upper hall. " * 8,
    "SELECT name, COUNT(*) FROM orders WHERE paid = 0 GROUP BY name HAVING COUNT(*) > 3;",
    "Die Prüfung ergab keine Beanstandungen. L'usine fermera en juin.",
    "Year ended 31 December | 2019 | 2020\nDepreciation | 118 | 124\nImpairment | – | 37",
    "She asked whether the bridge would hold.",
    "ok",
    "",
    "• • • 12 34 56 §§ ¶ 🌊 �",
)
