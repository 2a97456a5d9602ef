"""The words of the planted store: categories, what is sold in them, how it is described, in English and in Chinese."""

# category -> (English noun, Chinese noun), four things a category
NOUNS: dict[str, tuple[tuple[str, str], ...]] = {
    "tea": (("tea", "茶叶"), ("teapot", "茶壶"), ("teacup", "茶杯"), ("tea tray", "茶盘")),
    "kitchen": (("pan", "平底锅"), ("knife", "菜刀"), ("bowl", "碗"), ("kettle", "水壶")),
    "garden": (("seeds", "种子"), ("shovel", "铲子"), ("flowerpot", "花盆"), ("hose", "水管")),
    "toys": (("puzzle", "拼图"), ("doll", "娃娃"), ("blocks", "积木"), ("kite", "风筝")),
    "books": (("novel", "小说"), ("atlas", "地图册"), ("cookbook", "食谱"), ("notebook", "笔记本")),
    "shoes": (("boots", "靴子"), ("sandals", "凉鞋"), ("sneakers", "运动鞋"), ("slippers", "拖鞋")),
    "coats": (("jacket", "夹克"), ("raincoat", "雨衣"), ("scarf", "围巾"), ("sweater", "毛衣")),
    "music": (("guitar", "吉他"), ("drum", "鼓"), ("flute", "笛子"), ("headphones", "耳机")),
    "sport": (("racket", "球拍"), ("football", "足球"), ("tent", "帐篷"), ("bicycle", "自行车")),
    "lamps": (("desk lamp", "台灯"), ("lantern", "灯笼"), ("candle", "蜡烛"), ("torch", "手电筒")),
    "pets": (("cat food", "猫粮"), ("dog lead", "狗绳"), ("aquarium", "鱼缸"), ("bird cage", "鸟笼")),
    "beauty": (("soap", "香皂"), ("perfume", "香水"), ("comb", "梳子"), ("mirror", "镜子")),
}
CATEGORIES = tuple(NOUNS)

# how a thing is: each word moves the item's latent taste
ADJECTIVES: tuple[tuple[str, str], ...] = (
    ("red", "红色"),
    ("blue", "蓝色"),
    ("green", "绿色"),
    ("golden", "金色"),
    ("white", "白色"),
    ("black", "黑色"),
    ("wooden", "木制"),
    ("ceramic", "陶瓷"),
    ("steel", "钢制"),
    ("silk", "丝绸"),
    ("small", "小号"),
    ("large", "大号"),
    ("classic", "经典"),
    ("modern", "现代"),
    ("quiet", "安静"),
    ("light", "轻便"),
)
SHAPES: tuple[tuple[str, str], ...] = (("", ""), ("new", "新款"), ("family", "家用"), ("travel", "旅行"))  # says nothing about taste


def phrase(adjective: int, category: int, noun: int, shape: int, chinese: bool) -> str:
    """What an item, or a query, says in one language: `red new teapot` or `红色 新款 茶壶`."""
    at = 1 if chinese else 0
    parts = (ADJECTIVES[adjective][at], SHAPES[shape][at], NOUNS[CATEGORIES[category]][noun][at])
    return " ".join(part for part in parts if part)
