"""What stands beside a value: headers, words in prose, keys in code and logs, in three languages.

Written from how hospitals' exports, forms and letters call these fields, without looking at the detectors' word lists.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """Names of one field; `headers` and `labels` by language."""

    headers: dict[str, tuple[str, ...]]
    labels: dict[str, tuple[str, ...]]
    keys: tuple[str, ...]


def _words(hans: str, hant: str, en: str, keys: str, prose: tuple[str, str, str] | None = None) -> Words:
    """Each language's words are separated by a bar; prose has words of its own where a header would not be said."""
    headers = {lang: tuple(text.split("|")) for lang, text in (("hans", hans), ("hant", hant), ("en", en))}
    labels = headers if prose is None else {lang: tuple(t.split("|")) for lang, t in zip(headers, prose, strict=True)}
    return Words(headers, labels, tuple(keys.split("|")))


TRUE = {
    "cn_resident_id": _words(
        "身份证号|身份证号码|公民身份号码|证件号码|患者身份证",
        "身份證號碼|內地身份證號|居民身份證號碼",
        "id_card|resident_id|ID number|national_id|PRC ID No.",
        "id_card|idCard|identity_no|cert_no",
        ("身份证号|身份证号码|居民身份证", "身份證號碼|內地身份證號碼", "PRC ID|resident ID number|ID card no."),
    ),
    "cn_residence_permit": _words(
        "居住证号|港澳台居民居住证|居住证号码",
        "居住證號碼|港澳台居民居住證",
        "residence_permit|residence permit no|hmt_permit",
        "residence_permit|permit_no",
        ("居住证号|港澳台居民居住证号码", "居住證號碼|港澳台居民居住證", "residence permit|residence permit number"),
    ),
    "hkid": _words(
        "香港身份证|香港身份证号码|香港居民身份证",
        "香港身份證號碼|身份證號碼|香港身份證",
        "hkid|HKID No.|HK ID Card|hk_identity_card",
        "hkid|hk_id|hkidNo",
        ("香港身份证号码|香港身份证", "香港身份證號碼|香港身份證", "HKID|HKID number|Hong Kong Identity Card No."),
    ),
    "cn_uscc": _words(
        "统一社会信用代码|信用代码|社会信用代码",
        "統一社會信用代碼|社會信用代碼",
        "uscc|credit_code|unified social credit code",
        "uscc|credit_code|creditCode",
    ),
    "cn_org_code": _words(
        "组织机构代码|机构代码", "組織機構代碼|機構代碼", "org_code|organization_code", "org_code|orgCode"
    ),
    "bank_card": _words(
        "银行卡号|银行账号|卡号|工资卡号",
        "銀行卡號|信用卡號碼|卡號",
        "bank_card|card_no|card number|credit card",
        "card_no|cardNumber|bank_card",
        ("银行卡号|卡号|工资卡", "銀行卡號|信用卡號碼", "card number|bank card|credit card no."),
    ),
    "cn_mobile": _words(
        "手机|手机号|手机号码|联系电话|移动电话",
        "手機號碼|內地手機|聯絡電話",
        "mobile|phone|mobile_phone|contact_tel",
        "phone|mobile|tel",
        ("手机|联系电话|电话|手机号", "手機|內地電話|聯絡電話", "mobile|phone|tel."),
    ),
    "hk_mobile": _words(
        "香港电话|香港手机|香港联系电话",
        "電話|手提電話|聯絡電話|流動電話",
        "hk_phone|HK mobile|hk_tel|Contact No. (HK)",
        "hk_phone|hk_mobile|hkTel",
        ("香港电话|香港手机", "電話|手提電話|聯絡電話", "HK mobile|tel. (HK)|Hong Kong phone"),
    ),
    "mo_mobile": _words(
        "澳门电话|澳门手机",
        "澳門電話|澳門手提電話",
        "macau_phone|Macao mobile|mo_tel",
        "mo_phone|macao_mobile",
    ),
    "landline": _words(
        "固定电话|办公电话|住宅电话|家庭电话",
        "固網電話|辦公電話|住宅電話",
        "telephone|office_phone|home phone|tel",
        "tel|office_phone|landline",
        ("固定电话|办公电话|电话", "辦公電話|住宅電話", "office phone|tel.|telephone"),
    ),
    "email": _words(
        "邮箱|电子邮箱|电子邮件|E-mail",
        "電郵|電郵地址|電子郵件",
        "email|e-mail|email_address|contact_email",
        "email|mail_to|user_email",
        ("邮箱|电子邮件", "電郵|電郵地址", "e-mail|email"),
    ),
    "cn_passport": _words(
        "护照号|护照号码|护照",
        "護照號碼|中國護照",
        "passport_no|passport|passport number",
        "passport_no|passport",
        ("护照号|护照号码|护照", "護照號碼|中國護照號碼", "passport no.|Chinese passport|passport number"),
    ),
    "hk_passport": _words(
        "香港护照号码|香港特区护照",
        "香港特區護照|特區護照號碼|護照號碼",
        "hk_passport|HKSAR passport|hksar_passport_no",
        "hk_passport|hksar_passport",
    ),
    "mo_bir": _words(
        "澳门身份证|澳门居民身份证号码",
        "澳門居民身份證|澳門身份證號碼",
        "macao_id|BIR|Macau ID No.|bir_no",
        "bir_no|macao_id",
        ("澳门身份证号码|澳门居民身份证", "澳門居民身份證號碼|澳門身份證", "Macao ID|BIR|Macau identity card"),
    ),
    "exit_permit": _words(
        "往来港澳通行证|通行证号码|港澳通行证号",
        "往來港澳通行證|港澳通行證號碼",
        "exit_permit|EEP No.|two_way_permit",
        "exit_permit|eep_no",
        ("往来港澳通行证|港澳通行证号", "往來港澳通行證|港澳通行證號碼", "exit-entry permit|EEP no.|two-way permit"),
    ),
    "home_return_permit": _words(
        "回乡证|回乡证号码|港澳居民来往内地通行证",
        "回鄉證|回鄉證號碼|港澳居民來往內地通行證",
        "home_return_permit|hrp_no|mainland travel permit",
        "home_return_permit|hrp_no",
        ("回乡证|回乡证号码|港澳居民来往内地通行证", "回鄉證|回鄉證號碼", "home return permit|Mainland Travel Permit"),
    ),
    "taiwan_permit": _words(
        "台胞证|台胞证号|台湾居民来往大陆通行证",
        "台胞證|台胞證號碼|台灣居民來往大陸通行證",
        "taiwan_permit|mtp_no|taiwan compatriot permit",
        "taiwan_permit|mtp_no",
        ("台胞证|台胞证号", "台胞證|台胞證號碼", "Taiwan compatriot permit|Taiwan travel permit"),
    ),
    "vehicle_plate": _words(
        "车牌|车牌号|车牌号码|号牌号码",
        "車牌|車牌號碼",
        "plate|plate_no|license_plate|vehicle plate",
        "plate|plate_no|licensePlate",
    ),
    "imei": _words("IMEI|设备识别码|手机串号", "IMEI|設備識別碼", "imei|IMEI|device_imei", "imei|device_imei"),
}

NEUTRAL = _words(
    "流水号|编号|序列号|备注码|参考号",
    "流水號|編號|參考編號",
    "ref|seq_code|trace_id|code|reference",
    "ref|code|trace|key",
)
