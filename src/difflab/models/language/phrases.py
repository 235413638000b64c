"""What chat models say around an answer, in the languages that they speak: regular expressions, without flags.

`REASONING` and `FINAL`   thoughts before the answer, and what announces it
`LEAD_IN` and `LABEL`     "Sure! Here is the caption:", "Title:"
`NOTE` and `REFUSAL`      what follows an answer, or stands in its place
"""

THOUGHTS = (
    r"(?:think|thinking|thoughts?|thought_process|reason|reasoning|reasoning_content|reflection|analysis|scratchpad|plan|planning"
    r"|inner_monologue|internal|chain_of_thought|seed:think)"
)
REASONING = (
    rf"<\s*(?P<tag>{THOUGHTS})\b[^>]*>.*?(?:<\s*/\s*(?P=tag)\s*>|\Z)"  # also where it is not closed
    rf"|<[|｜](?:begin_of_)?(?P<mark>{THOUGHTS})[|｜]>.*?(?:<[|｜](?:/|end_of_)(?P=mark)[|｜]>|\Z)"
    rf"|<details[^>]*>\s*<summary>[^<]*\b{THOUGHTS}\b[^<]*</summary>.*?(?:</details>|\Z)"
    r"|\[THINK\].*?(?:\[/THINK\]|\Z)"
    r"|◁think▷.*?(?:◁/think▷|\Z)"
    r"|<\|START_THINKING\|>.*?(?:<\|END_THINKING\|>|\Z)"
    r"|<\|channel>.*?(?:<channel\|>|\Z)"
    r"|<unused94>.*?(?:<unused95>|\Z)"
    rf"|```{THOUGHTS}\b.*?(?:```|\Z)"
    r"|<(?:t(?:h(?:ink?)?)?)?\Z"  # cut off within its first mark
)
REASONING_END = rf"<\s*/\s*{THOUGHTS}\s*>|\[/THINK\]|◁/think▷|<\|END_THINKING\|>|<channel\|>"
# OpenAI's harmony format; decoded without its marks it runs together.
HARMONY_FINAL = (
    r"<\|channel\|>\s*final\b(?:[^<]|<\|constrain\|>)*<\|message\|>(.*?)(?=<\|(?:end|return|start|channel)\|>|\Z)"
)
HARMONY_BARE = (
    r"\A\s*(?:assistant)?(?:(?:analysis|commentary)(?=[A-Z\n]|[^\x00-\x7f]).*?(?:assistant\s?final(?![a-z])|\Z)"
    r"|final(?=[A-Z][a-z ]))"
)
SPELT_REASONING = (
    r"\A[\s#*_>]*(?:here is my )?(?:thinking|reasoning|thoughts?|thought process|chain of thought"
    r"|analysis)[*_ ]*(?:[:：][*_]*|\n)"
)
FINAL = (
    r"(?:^|\n)[\s#*_>]*(?:(?:my |the )?(?:final (?:answer|caption|title|titles|response|version|output)"
    r"|answer)|here is my (?:answer|response))[*_ ]*[:：][*_]*"
    r"|(?:^|\n)[\s#*_>]*(?:my |the )?final (?:answer|caption|title|titles|response|version|output)[*_ ]*(?=\n)"
)

# Special tokens of any tokenizer, which a decoder may leave in its text; those of boxes stand around an answer.
MARK = (
    r"<[|｜]/?[\w▁ .:-]{1,40}[|｜]?>|</?[\w▁]{1,40}[|｜]>|\[/?INST\]"
    r"|</?(?:s|bos|eos|pad|unk|mask|start_of_turn|end_of_turn|end_of_utterance)>"
    r"|(?:\[(?:END|EOS)\]|<end>|(?<=[.!?]\s)#{3,})\s*\Z"
)
TURN_BEGINS = rf"(?:\s*(?:{MARK})(?:\s*(?:assistant|model)(?=\s*\n|\s*(?:{MARK})))?)+"
PROMPT = (  # which the answer repeats
    r"\s*(?:<s>\s*)?\[INST\].*?\[/INST\]|\s*<\|(?:system|user)\|>.*?<\|assistant\|>"
    r"|\s*<\|im_start\|>\s?(?:system|user)\b.*?<\|im_start\|>\s?assistant(?=\s)"
    r"|\s*(?:system|user)[ \t]*\n.*?\n\s*(?:assistant|model)[ \t]*\n|\s*model[ \t]*\n"
    r"|\s*(?:USER|User|Human|### (?:Instruction|Human|User))\s*:.*?\b(?:ASSISTANT|Assistant|Response)\s*:"
)

BOX_MARKS = r"<\|(?:begin|end)_of_box\|>"
BOXED = r"\\(?:boxed|text)\{(?:\\text\{)?([^{}]*)"  # of LaTeX
_WRAPPED = r"(?:\w+_)?(?:answer|response|output|result|final|caption|title|description|sentence|solution|json)(?:_\w+)?"
WRAPPER = rf"<({_WRAPPED})>(.*?)(?:</\1>|\Z)"
WRAPPER_END = rf"\s*</{_WRAPPED}>\s*\Z"
BLOCK_TAG = (
    r"</?(?:p|div|br|hr|li|ol|ul|dl|dt|dd|h[1-6]|blockquote|pre|body|html|figcaption|figure|section|article|main|header"
    r"|table|thead|tbody|tr|th|td)\b[^<>]*>|<!--[^\0]*?-->"
)
TAG = r"</?(?:b|i|u|s|q|em|strong|span|mark|small|big|sub|sup|code|font|center|cite|label|img|a)\b[^<>]*>"

_NOUN_UNSPACED = r"(?:标题|標題|描述|说明|說明|キャプション|タイトル|説明|캡션|제목|설명)"
_NOUN = (
    r"(?:variations?|versions?|options?|titles?|captions?|descriptions?|sentences?|rewrite|rewriting"
    r"|t[íi]tulos?|titres?|titel|titolo"
    r"|alt[- ]text|l[ée]gendes?|leyenda|pie de foto|legenda|didascalia|descripci[óo]n|descri[çc][ãa]o|descrizione"
    r"|bildunterschrift|(?:bild)?beschreibung|bijschrift"
    r"|variantes?|varianten?|vorschl[äa]ge?|opci[óo]n(?:es)?|op[çc](?:[ãa]o|[õo]es)|opzion[ei]|вариант[ыа]?|варіант"
    r"|bildtext|billedtekst(?:en)?|bildetekst(?:en)?|bildtexten|kuvateksti|kuvaus|popisek|popis|titulek|nadpis"
    r"|descriere(?:a)?|titlul?|k[ée]pal[áa][íi]r[áa]s|le[íi]r[áa]s|c[íi]m|λεζάντα|περιγραφή|τίτλος"
    r"|podpis|tytu[łl]|opis|ba[şs]l[ıi]k|подпись|підпис|описание|опис|заголовок|название|назва"
    r"|chú thích|tiêu đề|mô tả|keterangan(?:nya)?|judul|deskripsi|คำบรรยาย|ชื่อเรื่อง"
    r"|(?:ה)?(?:כיתוב|כותרת|תיאור)|(?:ال)?(?:شرح|عنوان|وصف|تعليق)|वर्णन|शीर्षक|শিরোনাম|বর্ণনা|தலைப்பு|விளக்கம்"
    rf"|{_NOUN_UNSPACED})"
)
_CHANGED = r"(?:final|corrected|complete|completed|rewritten|revised|improved|updated)"
LABEL = (
    rf"(?:(?:(?:{_CHANGED}|new|short|detailed|suggested|my|the|your|one[- ]line|single|plain|and"
    rf"|one|a|possible|proposed|image|photo|picture)\s)*{_NOUN}"
    r"(?: (?:for|of) (?:the|this|your) (?:picture|image|photo|photograph)"
    r"| (?:к|до) (?:фото|фотографии|изображению|картинке))?"
    rf"|{_CHANGED}|(?:修改|更新|改写|修正|完整)(?:后)?的?{_NOUN_UNSPACED}"
    r"|output|answer|assistant|response|result)"
)
_CHATTER_COMMA = (
    r"sure(?: thing)?|of course|certainly|absolutely|okay|ok|alright|got it|no problem|great(?: question)?|understood"
    r"|gladly"
)
_CHATTER = (
    rf"{_CHATTER_COMMA}|yes|hello|hi(?: there)?|happy to help|i(?:['’]d| would) be (?:happy"
    rf"|glad) to(?: help)?(?: with that)?|thank you(?: for[^.!:\n]*| so much| very much)?"
    r"|i can help with that|claro(?: que s[íi])?|por supuesto|con (?:mucho )?gusto|bien s[ûu]r"
    r"|certainement|avec plaisir|d['’]accord"
    r"|nat[üu]rlich|gerne?|klar|selbstverst[äa]ndlich|certo|certamente|volentieri|com certeza"
    r"|natuurlijk|zeker|graag|oczywi[śs]cie"
    r"|jasne|sj[äa]lvklart|visst|tabii(?: ki)?|elbette|конечно|хорошо|звичайно|当然(?:可以)?"
    r"|當然(?:可以)?|好的|没问题|沒問題"
    r"|はい|かしこまりました|もちろん(?:です)?|承知(?:しました|いたしました)|わかりました|물론(?:입니다|이죠|이에요)?|네"
    r"|알겠습니다|بالتأكيد|بالطبع|حسن[اًا]+"
    r"|ज़रूर|जरूर|बिल्कुल|chắc chắn(?: rồi)?|tất nhiên|dĩ nhiên|tentu(?: saja)?|แน่นอน"
    r"|selvf[øo]lgelig|selvsagt|jist[ěe]|samoz[řr]ejm[ěe]|sigur|desigur|term[ée]szetesen|toki|totta kai|βεβαίως|φυσικά"
    r"|בטח|כמובן|בהחלט|حتماً|البته|অবশ্যই|நிச்சயமாக"
)
_HERE = (
    r"(?:(?:here(?:['’]s|\sis|\sare|\sit\sis|\sgoes)|below\s(?:is|are)|the following (?:is|are)|aqu[íi] (?:tienes?"
    r"|est[áa]n?|va|te)|voici|voil[àa]"
    rf"|hier (?:ist|sind|is|zijn|kommt|(?:die|der|das|deine?|eine?)(?=[^:\n]{{0,30}}{_NOUN}))"
    r"|ecco|aqui (?:est[áa]|est[ãa]o|vai)|oto|h[äa]r [äa]r|her er"
    r"|i[şs]te|a[şs]a[ğg][ıi]da|вот|ниже|ось"
    r"|berikut|dưới đây|đây là|t[äa]ss[äa]|[íi]me|iat[ăa]|zde je|tady je|ορίστε"
    r"|let me \w+ (?:that|this|it|the \w+)"
    r"|i(?:['’]ve| have) (?:corrected|completed|rewritten|revised|updated|improved|written))\b"
    r"|以下|下面|这是|這是|こちら|次の|다음|아래|여기|إليك|فيما يلي|این|यहाँ|यहां|यह रहा|নিচে|এখানে|இதோ|นี่คือ|הנה)"
)
_IS = r"(?:is|are|(?:could|would|might|should|can) be|(?:should |would )?reads?)"
LEAD_IN = (
    r"[*_\s¡]*(?:"
    rf"(?:{_CHATTER})[*_]*\s?[.!:。！：~]+\s*"  # Sure!
    rf"|(?:{_CHATTER_COMMA})\s?,\s*(?=\S)(?!(?:and|but|or)\b)"
    rf"|(?:(?:{_CHATTER})(?:[,\s，、]|[-–—])+)?{_HERE}[^:：\n]*[:：][*_]*\s*"  # Here is a caption:
    rf"|{_HERE}[^:：.\n]{{0,40}}\b(?:caption|title|description|sentence)\s[-–—]\s"
    r"|(?:try this|how about(?: this)?|as requested)\s*[:：]\s*"
    r"|(?:(?:sure|of course)[,\s]+)?here\syou\s(?:go|are)\s*[.!:：]*\s*"  # Here you go!
    rf"|(?:(?:based on|given|to|as)\b[^:：.\n]{{1,60}}, )(?:{_HERE})[^:：\n]{{0,60}}[:：][*_]*\s*"
    rf"|[^.:：!?\"“\n]{{0,80}}\b{_NOUN}\b[^.:：!?\"“\n]{{0,30}}\b(?:{_IS}|as follows)\s*[:：][*_]*\s*"
    rf"|(?:the|my|your|an?) (?:{_CHANGED} )?(?:caption|title|description|sentence) {_IS} "
    r"(?=[\"“«„][^\"”»“]*(?:[.!?][\"”»“]|[\"”»“][.!]?\s*(?:$|\()))"
    rf"|[^.:：。！？\"“\n]{{0,40}}{_NOUN_UNSPACED}(?:如下|是|为|為|は|です|는|은)?[^\w\s]?\s?[:：][*_]*\s*"
    r")+"
)
ANNOUNCEMENT = (
    rf"[*_\s]*(?:(?:{_CHATTER})[,\s!.]+)*{_HERE}(?:[^:：.。!?\n]{{0,60}}{_NOUN}"
    r"(?: (?:(?:that )?you (?:asked|requested|wanted)|as requested|based on|with all)\b[^:：.。!?\n]{0,60})?)?"
    r"(?:です|입니다|如下)?[*_\s]*[.。!]?"
    rf"|[*_\s]*(?:the|my|your) (?:{_CHANGED} )?{_NOUN} (?:is|are|reads?) as follows[.。]?"
)

NOTE = (
    r"[\s(\[（【*_]*(?:note|remark|explanation|rationale|justification|disclaimer|hinweis|anmerkung"
    r"|erkl[äa]rung|remarque|nota|observa[çc][ãa]o"
    r"|nota bene|uwaga|примечание|пояснение|注意?|备注|說明|说明|注記|補足|참고|ملاحظة|टिप्पणी"
    r"|word count|translation|ps|p\.s)\b\.?[*_]*\s*[:：]"
    r"|[\s(\[*_]*note that i\b"
    r"|[\s(\[]*(?:i hope|hope (?:this|that|it) helps|is there anything else|(?:please )?let me know"
    r"|feel free|would you like|if you(?:['’]d| would) like|i(?:['’]ve"
    r"| have) (?:kept|included|made|added|corrected)"
    r"|this (?:caption|title|version|sentence|description) (?:keeps|includes|captures|reflects|is|uses"
    r"|incorporates)|this (?:keeps|includes|incorporates|covers) (?:all|both|each|every))\b"
    r"|\s*\(\d+ (?:words?|characters?)\)"
)
_REMARK = r"(?:note|nota|hinweis|remarque|примечание|注意?|备注|補足|참고|translation|confidence)"
TAIL = (
    rf"(?:(?<=[.!?…。！？।۔”»」*)])\s*|(?<=\")\s+)(?:[-–—]\s)?(?:{NOTE}|p\.s\.|"
    r"(?:reasoning|changes(?: made)?|facts(?: \w+)?)\s*[:：]).*\Z"
    rf"|\s*[(\[（]{_REMARK}\b\s*[:：].*\Z|\s*\(\d+ (?:words?|characters?)\)\Z"
    r"|(?<=[.!?…。！？।۔\"”])\s*[(\[（][^()（）\[\]]*[:：][^()（）\[\]]*[)\]）]\Z"  # (Facts included: a hat)
    r"|(?<=[.!?…。！？।۔\"”])(?:\s*\#\w+)+\Z|\s[:;]-?[)DP]\Z"
)

_DOES = (
    r"(?:help|assist|provide|create|write|describe|identify|generate|fulfill?|comply|answer|do|continue"
    r"|complete|see|view|determine|give"
    r"|make|offer|rewrite|process|access|engage|support|produce|correct|recogni[sz]e|comment|speculate"
    r"|tell|caption|participate|discuss|judge|verify|confirm|name|share|say|be able)"
)
REFUSAL = (
    r"[\s\"“*_(\[]*(?:(?:oops|hmm|oh)[,.!]+\s*)?(?:(?:(?:i['’]?m|i am) )?(?:really |very |so )?sorry\b[*_]*,?"
    r"(?: but)?,?\s*(?:i|as an|this"
    r"|that|there|you|it|we (?:can|could|are (?:un|not)))"
    r"|(?:(?:i['’]?m|i am) )?(?:really |very |so )?sorry[.!]"
    r"|(?:i apologi[sz]e|apologies|my apologies)\b(?:[.!]|[, ]*(?:but )?(?:i|there|as)\b)"
    r"|(?:unfortunately|regrettably),? (?:i|there|as|the image)\b"
    rf"|i (?:cannot|can['’]?t|can not|won['’]?t|will not|could not|couldn['’]t|do not"
    rf"|don['’]t) (?:\w+ ){{0,4}}{_DOES}\b"
    r"|(?:(?:happy|glad) to help[^.]*, but )?i (?:need|require|lack) (?:more |the |an? )*(?:information|details|context"
    r"|image|picture|caption)\b"
    r"|i(?:['’]d| would) be (?:happy|glad) to help[^.]{0,30} but\b|i refuse\b"
    r"|no (?:image|picture|caption)s? (?:provided|attached|uploaded|given)(?=\W*$)"
    r"|i(?: would|['’]d)? need to (?:see|view) (?:the|an?|your) (?:image|picture|photo|caption)"
    r"(?=\s*(?:[.,!]|$)| (?:first|before|to|in order)\b)"
    r"|you (?:have(?:n['’]t| not)|did(?:n['’]t| not)) (?:\w+ )?(?:provid|attach|upload|shar|includ|giv|sen[dt])\w*"
    r"(?: \w+){0,2} (?:image|picture|photo|caption)s?\b"
    r"|there (?:does(?:n['’]t| not)|do(?:n['’]t| not)) (?:appear|seem) to be (?:an? |any )?(?:image|picture|caption)"
    r"|my (?:guidelines|programming|training|polic(?:y|ies)) (?:do(?:es)?(?:n['’]t| not) (?:allow|permit)|prevents?"
    r"|prohibits?|forbids?)\b"
    r"|(?:it (?:seems|looks|appears)\b[^.]{0,40} )?no (?:image|picture|caption)s? (?:was|were|is|has been) (?:\w+ )?"
    r"(?:provided|attached|uploaded|given|shared|included)|it (?:seems|looks|appears)\b[^.]{0,30} forgot\b"
    r"|this (?:content|request|image|prompt) (?:may|might|could|would)? ?violates? "
    rf"|i(?:['’]m| am) (?:unable|not able|not allowed|not comfortable|not permitted)\b"
    r"|i(?:['’]m going to|['’]ll| will| must| have to)(?: have to)? (?:\w+ )?(?:decline|refuse)\b"
    r"|i (?:don['’]t|do not) (?:feel comfortable|have (?:access|enough"
    r"|the ability))"
    r"|as an? (?:\w+[- ]based )?(?:ai|large language|language model|artificial)\b"
    r"|i(?:['’]m| am)(?: just| only| merely)? an? (?:\w+[- ]based )?(?:large language model|language model"
    r"|ai(?=[,.]| (?:assistant|model|language|and|so|that|without)\b))"
    r"|(?:please|could you(?: please)?|can you(?: please)?) (?:provide|upload|share|attach|send"
    r"|clarify)\b|(?:there(?:['’]s| is)|i see) no (?:image|picture|caption)s?"
    r"(?=\s*(?:[.,!;]|$)| (?:here|attached|provided|available|uploaded|included|to|for)\b)"
    r"|(?:lo siento|lo lamento|no puedo|no me es posible|(?:je suis )?d[ée]sol[ée]e?|je ne (?:peux"
    r"|suis) pas|je suis une? (?:ia|intelligence|mod[èe]le)|no tengo acceso|disculp[ae],? (?:no|pero)"
    r"|als ki\b|como (?:modelo|ia|uma ia)\b|en tant qu['’]ia|come modello|es tut mir leid|tut mir leid"
    r"|ich kann (?:das |dies |dir |ihnen |dabei |diese |leider |keine? (?:bild|person|gesicht)\w*)|leider (?:kann|darf)"
    r"|ich bin (?:leider )?nicht in der lage|ich bin (?:nur )?(?:eine ki|ein sprachmodell)"
    r"|entschuldigung[,.!]? (?:aber|ich|das|dabei|leider)|mi dispiace"
    r"|non sono in grado|n[ãa]o (?:consigo|tenho acesso)|pe[çc]o desculpas?|ik ben niet in staat|helaas kan ik"
    r"|non posso|desculpe|sinto muito"
    r"|n[ãa]o posso|het spijt me|ik kan (?:dit|dat|niet|u|je|geen)|przepraszam|nie mog[ęe]"
    r"|jag kan (?:inte|tyvärr)|jag är ledsen|tyvärr kan|(?:jeg )?beklager,? (?:men|jeg|det)"
    r"|undskyld,? (?:men|jeg)|jeg kan (?:desværre )?ikke"
    r"|anteeksi,? (?:mutta|en)|valitettavasti en|pahoittelen|omlouvám se|bohužel (?:ne\w+|to|vám)"
    r"|[îi]mi pare r[ăa]u|din păcate|nu pot|sajnálom"
    r"|sajnos (?:nem|ezt)|elnézést,? (?:de|nem)|[üu]zg[üu]n[üu]m|извините|простите"
    r"|к сожалению|я не (?:могу|вижу)|как (?:языковая модель|ии)|вибачте|на жаль|λυπάμαι|δυστυχώς|συγγνώμη"
    r"|(?:אני )?מצטער(?:ת)?|סליחה,? (?:אבל|אני)|متأسفم|متاسفم|ببخشید)\b"
    r"|(?:作为|我是)(?:一个|一名|一款)?(?:ai|人工智能|语言模型)|我(?:没有|沒有)(?:看到|收到)"
    r"|很?抱歉|对不起|對不起|我(?:无法|無法|不能)|申し訳|すみません|恐れ入りますが"
    r"|画像(?:が|は)(?:提供|添付|見え)|죄송|이미지(?:를|가) (?:볼 수 없|제공되지)|দুঃখিত|மன்னிக்கவும்|آسف|عذر|أعتذر"
    r"|لا أستطيع|क्षमा करें|माफ़|xin lỗi|maaf|ขออภัย)"
)
NOTHING = r"\W*(?:n/?a|none|null|nil|not available|no answer|no caption|empty|undefined|unknown)\W*"
