"""What chat models say around an answer, in the languages that they speak: regular expressions, without flags.

`REASONING` and `FINAL`   thoughts before the answer, and what announces it
`LEAD_IN` and `LABEL`     "Sure! Here is the caption:", "Title:"
`NOTE` and `REFUSAL`      what follows an answer, or stands in its place
"""

THOUGHTS = r"(?:think|thinking|thought|thoughts|reasoning|reflection|analysis|scratchpad|seed:think)"
REASONING = (
    rf"<(?P<tag>{THOUGHTS})\b[^>]*>.*?(?:</(?P=tag)>|\Z)"  # also where it is not closed
    r"|\[THINK\].*?(?:\[/THINK\]|\Z)"
    r"|◁think▷.*?(?:◁/think▷|\Z)"
    r"|<\|START_THINKING\|>.*?(?:<\|END_THINKING\|>|\Z)"
    r"|<\|channel>.*?(?:<channel\|>|\Z)"
    rf"|```{THOUGHTS}\b.*?(?:```|\Z)"
    r"|<(?:t(?:h(?:ink?)?)?)?\Z"  # cut off within its first mark
)
REASONING_END = rf"</{THOUGHTS}>|\[/THINK\]|◁/think▷|<\|END_THINKING\|>|<channel\|>"
# OpenAI's harmony format; decoded without its marks it runs together.
HARMONY_FINAL = r"<\|channel\|>\s*final\b[^<]*<\|message\|>(.*?)(?=<\|(?:end|return|start|channel)\|>|\Z)"
HARMONY_BARE = r"\A\s*analysis(?=[A-Z]).*?(?:assistant\s?final(?=\W|[A-Z])|\Z)"
SPELT_REASONING = (
    r"\A[\s#*_>]*(?:thinking|reasoning|thoughts?|thought process|chain of thought"
    r"|analysis)[*_ ]*(?:[:：][*_]*|\n)"
)
FINAL = (
    r"(?:^|\n)[\s#*_>]*(?:my |the )?(?:final (?:answer|caption|title|titles|response|version|output)"
    r"|answer)[*_ ]*[:：][*_]*"
)

TURN_BEGINS = (
    r"(?:\s*(?:<s>|<bos>|<\|begin_of_text\|>|\[/INST\]|<\|assistant\|>|<\|im_start\|>\s*assistant"
    r"|<\|im_start\|>"
    r"|<start_of_turn>\s*model|<\|start_header_id\|>\s*assistant\s*<\|end_header_id\|>))+"
)
TURN_ENDS = (
    r"</s>|<eos>|<\|(?:im_end|im_start|eot_id|endoftext|end_of_text|end|return|user|assistant|system"
    r"|start_header_id)\|>"
    r"|<end_of_turn>|<start_of_turn>|\[/?INST\]"
)
WRAPPER = r"<(answer|response|output|result|final|caption|title)>(.*?)(?:</\1>|\Z)"
BOX = (
    r"<\|(?:begin|end)_of_box\|>|<\|(?:START|END)_(?:RESPONSE|TEXT)\|>|\$?\\boxed\{(?:\\text\{)?"
    r"|\}\}?\$(?=\s*\Z)"
)

_NOUN = (
    r"(?:variations?|versions?|options?|titles?|captions?|descriptions?|sentences?|rewrite|rewriting"
    r"|t[íi]tulos?|titres?|titel|titolo"
    r"|l[ée]gendes?|leyenda|legenda|didascalia|descripci[óo]n|descri[çc][ãa]o|descrizione"
    r"|bildunterschrift|beschreibung|bijschrift"
    r"|podpis|tytu[łl]|ba[şs]l[ıi]k|подпись|описание|заголовок|название|标题|標題|描述|说明"
    r"|キャプション|タイトル|説明|캡션|제목|설명"
    r"|شرح|عنوان|वर्णन|शीर्षक)"
)
LABEL = (
    rf"(?:(?:(?:final|new|short|detailed|corrected|complete|completed|rewritten|revised|improved"
    rf"|updated|suggested)\s)*{_NOUN}"
    r"|output|answer|assistant|response|result)"
)
_CHATTER_COMMA = (
    r"sure(?: thing)?|of course|certainly|absolutely|okay|ok|alright|got it|no problem|great|understood|gladly"
)
_CHATTER = (
    rf"{_CHATTER_COMMA}|yes|happy to help|i(?:['’]d| would) be (?:happy"
    rf"|glad) to(?: help)?(?: with that)?|thank you[^.!:\n]*"
    r"|i can help with that|claro(?: que s[íi])?|por supuesto|con (?:mucho )?gusto|bien s[ûu]r"
    r"|certainement|avec plaisir|d['’]accord"
    r"|nat[üu]rlich|gerne?|klar|selbstverst[äa]ndlich|certo|certamente|volentieri|com certeza"
    r"|natuurlijk|zeker|graag|oczywi[śs]cie"
    r"|jasne|sj[äa]lvklart|visst|tabii(?: ki)?|elbette|конечно|хорошо|звичайно|当然(?:可以)?"
    r"|當然(?:可以)?|好的|没问题|沒問題"
    r"|はい|もちろん(?:です)?|承知(?:しました|いたしました)|わかりました|물론(?:입니다|이죠|이에요)?|네"
    r"|알겠습니다|بالتأكيد|بالطبع|حسن[اًا]+"
    r"|ज़रूर|जरूर|बिल्कुल|chắc chắn(?: rồi)?|tất nhiên|tentu(?: saja)?|แน่นอน"
)
_HERE = (
    r"(?:(?:here(?:['’]s|\sis|\sare)|below\s(?:is|are)|the following (?:is|are)|aqu[íi] (?:tienes?"
    r"|est[áa]n?|va|te)|voici|voil[àa]"
    r"|hier (?:ist|sind|is|zijn|kommt)|ecco|aqui (?:est[áa]|est[ãa]o|vai)|oto|h[äa]r [äa]r|her er"
    r"|i[şs]te|a[şs]a[ğg][ıi]da|вот|ниже|ось"
    r"|berikut|dưới đây|đây là|t[äa]ss[äa]|[íi]me|iat[ăa])\b"
    r"|以下|下面|这是|這是|こちら|次の|다음|여기|إليك|فيما يلي|यहाँ|यहां|यह रहा|นี่คือ|הנה)"
)
LEAD_IN = (
    r"[*_\s¡]*(?:"
    rf"(?:{_CHATTER})[*_]*\s?[.!:。！：~]+\s*"  # Sure!
    rf"|(?:{_CHATTER_COMMA})\s?,\s*(?=\S)(?!(?:and|but|or)\b)"
    rf"|(?:(?:{_CHATTER})[,\s，、]+)?{_HERE}[^:：\n]*[:：][*_]*\s*"  # Here is a caption:
    r"|(?:(?:sure|of course)[,\s]+)?here\syou\s(?:go|are)\s*[.!:：]*\s*"  # Here you go!
    rf"|[^.:：!?\"“\n]{{0,80}}\b{_NOUN}\b[^.:：!?\"“\n]{{0,30}}\b(?:is|are|could be|would be|reads?"
    rf"|might be)\s*[:：][*_]*\s*"
    r")+"
)

NOTE = (
    r"[\s(\[*_]*(?:note|remark|explanation|rationale|justification|disclaimer|hinweis|anmerkung"
    r"|erkl[äa]rung|remarque|nota|observa[çc][ãa]o"
    r"|nota bene|uwaga|примечание|пояснение|注意?|备注|說明|说明|注記|補足|참고|ملاحظة|टिप्पणी"
    r"|word count|p\.?s\.?)\b[*_]*\s*[:：]"
    r"|[\s(\[*_]*note that i\b"
    r"|\s*(?:i hope|let me know|feel free|would you like|if you(?:['’]d| would) like|i(?:['’]ve"
    r"| have) (?:kept|included|made|added|corrected)"
    r"|this (?:caption|title|version|sentence|description) (?:keeps|includes|captures|reflects|is|uses"
    r"|incorporates))\b"
    r"|\s*\(\d+ words?\)"
)
TAIL = (
    rf"(?<=[.!?…。！？\"”»」*)])\s*(?:{NOTE}).*\Z|\s+[(\[](?:note|nota|hinweis|remarque|примечание"
    rf"|注)\b\s*[:：].*\Z|\s*\(\d+ words?\)\Z"
)

_DOES = (
    r"(?:help|assist|provide|create|write|describe|identify|generate|fulfil|comply|answer|do|continue"
    r"|complete|see|view|determine|give"
    r"|make|offer|rewrite|process|access|engage|support|produce|correct|recogni[sz]e|comment|speculate"
    r"|tell|caption|participate|discuss)"
)
REFUSAL = (
    r"[\s\"“*_]*(?:(?:(?:i['’]?m|i am) )?(?:really |very |so )?sorry\b,?(?: but)?,?\s*(?:i|as an|this"
    r"|that|there|you|it|we)\b"
    r"|(?:(?:i['’]?m|i am) )?(?:really |very |so )?sorry[.!]"
    r"|(?:i apologi[sz]e|apologies|my apologies)\b[, ]*(?:but )?(?:i|there|as)\b"
    r"|(?:unfortunately|regrettably),? (?:i|there|as|the image)\b"
    rf"|i (?:cannot|can['’]?t|can not|won['’]?t|will not|could not|couldn['’]t|do not"
    rf"|don['’]t) (?:\w+ ){{0,2}}{_DOES}\b"
    rf"|i(?:['’]m| am) (?:unable|not able|not allowed|not comfortable|not permitted)\b"
    r"|i (?:must|have to) decline\b|i (?:don['’]t|do not) (?:feel comfortable|have (?:access|enough"
    r"|the ability))"
    r"|as an? (?:ai|large language|language model|artificial)\b"
    r"|(?:please|could you(?: please)?|can you(?: please)?) (?:provide|upload|share|attach|send"
    r"|clarify)\b|(?:there is|i see) no (?:image|picture|caption)\b"
    r"|(?:lo siento|lo lamento|no puedo|no me es posible|(?:je suis )?d[ée]sol[ée]e?|je ne (?:peux"
    r"|suis) pas|es tut mir leid|tut mir leid"
    r"|ich kann (?:das |dies |dir |ihnen |dabei |diese |leider )|leider (?:kann|darf)|mi dispiace"
    r"|non posso|desculpe|sinto muito"
    r"|n[ãa]o posso|het spijt me|ik kan (?:dit|dat|niet|u|je|geen)|przepraszam|nie mog[ęe]"
    r"|jag kan (?:inte|tyvärr)|[üu]zg[üu]n[üu]m|извините"
    r"|к сожалению|я не могу|вибачте)\b"
    r"|很?抱歉|对不起|對不起|我(?:无法|無法|不能)|申し訳|すみません|恐れ入りますが|죄송|آسف|عذر|أعتذر"
    r"|لا أستطيع|क्षमा करें|माफ़|xin lỗi|maaf|ขออภัย)"
)
NOTHING = r"\W*(?:n/?a|none|null|nil|no answer|no caption|empty|unknown)\W*"
