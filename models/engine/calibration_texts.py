"""Texts that show an encoder what its activations look like, when its INT8 graph is made.

They are the same for every training: models that share an encoder then share its INT8 graph too. What matters is which
channels are large, and that depends on the encoder more than on the text; so they are few, of many kinds.
"""

from typing import Final

CALIBRATION_TEXTS: Final = (
    "This agreement is made on 14 March 2019 between Harbour Lights Ltd, a company registered in England under number"
    " 04417293, and Mrs Olivia Brandt of 27 Mill Lane, Norwich NR3 1AB, who is called the tenant below.",
    "The tenant shall pay a monthly rent of $1,250.00, in advance, on the first working day of each month; interest of"
    " 4.5% a year is due on whatever is paid more than ten days late.",
    "Dear Sir or Madam, I ordered two pairs of shoes three weeks ago (order no. B-20931) and only one has come. Nobody"
    " answers the telephone. Please send the other pair or give me my money back!",
    "Printer on the second floor jams with every second page. Restarted it twice, no change.",
    "The patient is a 54-year-old man with chest pain since yesterday evening; blood pressure 145/95, pulse 88, no"
    " fever. He takes 5 mg of bisoprolol in the morning.",
    "Revenue grew by 8.2 per cent to 3.4 billion euros in the second quarter, while operating profit fell to 212"
    " million, mostly because of higher prices for energy and steel.",
    "Flight LH 1729 from Munich to Lisbon leaves at 06:45 from gate G22; boarding ends fifteen minutes before.",
    "Scientists at the University of Otago have found a fern that was thought to be extinct since 1912.",
    "name: Takeshi Mori | born: 1988-11-02 | city: Osaka | phone: +81 6 5550 1234 | mail: t.mori@example.org",
    "Preheat the oven to 200 degrees. Mix flour, butter and sugar, add three eggs, and bake everything for 35 minutes.",
    "MEMORANDUM. TO: ALL STAFF. FROM: HUMAN RESOURCES. SUBJECT: OFFICE CLOSED ON MONDAY 2 MAY.",
    "I really loved the first half of the film, but the ending was a complete waste of time. Two stars out of five.",
    "In the event of a breach of section 7(b), either party may terminate this contract by written notice of thirty"
    " (30) days, without prejudice to any other right or remedy at law.",
    "The quick repair cost us $88, and the bank charged another 2.50 for the transfer.",
    "She moved from Buenos Aires to Montreal in 1997, studied law at McGill and became a judge in 2014.",
    "ERROR 2021-06-30T23:59:58Z worker-3 could not connect to 10.0.4.17:5432 (timeout after 30 s), trying again",
    "What is the best way to learn a language if you have only twenty minutes a day?",
    "Der Vertrag beginnt am 1. Januar 2020 und wird auf unbestimmte Zeit geschlossen; die Kaution beträgt 900 Euro.",
    "Le conseil municipal de Lyon a voté hier soir un budget de 750 millions d'euros pour les écoles.",
    "El equipo ganó por tres a uno, con dos goles de Fernández en la segunda parte.",
    "To whom it may concern: Mr Daniel O'Connor worked for us as an accountant from June 2011 until August 2018. He was"
    " punctual, careful and liked by everybody.",
    "Invoice 77-1045. 3 x desk lamp at 19.99, 1 x chair at 149.00, delivery free. Total: 208.97, due within 14 days.",
    "Heavy rain and winds of up to 110 kilometres an hour are expected along the northern coast on Thursday night.",
    "The borrower, Contoso Farms, grants the lender a security interest in all equipment listed in Schedule A.",
    "Password reset does not work: the link in the mail says that it has expired, though I clicked it at once.",
    "Water boils at a lower temperature on a mountain, since the pressure of the air is lower there.",
    "Breaking: the minister of finance resigned this morning after weeks of protest in the capital.",
    "Turn left after the church, cross the bridge over the river, and you will see a red house on the right.",
    "He said, \"I don't know who did it - but it wasn't me\", and left the room without his hat.",
    "Chapter 3. On the morning of her wedding, Emma found a letter under the door, written in a hand that she had not"
    " seen for twelve years.",
    "x = [1, 2, 3]; for i in range(len(x)): print(i * x[i])  # https://example.com/docs?page=2&lang=en",
    "Lease term: 36 months. Deposit: two months' rent. Pets: not allowed. Parking: space 14. Signed: J. Whitfield.",
)
