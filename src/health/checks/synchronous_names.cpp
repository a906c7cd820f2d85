#include "health/checks/synchronous_names.hpp"

#include <cstdlib>

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

struct Token {
    enum class Kind { name, number, keyword, comma, open, close, end, bad } kind = Kind::end;
    std::string text; // of a keyword: in lower case
};

char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool digit(char c)
{
    return c >= '0' && c <= '9';
}

bool starts_name(char c)
{
    return (lower(c) >= 'a' && lower(c) <= 'z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

class Lexer {
public:
    explicit Lexer(std::string_view text) : rest(text) {}

    Token next()
    {
        while (!rest.empty() && std::string_view(" \t\n\r\f\v").find(rest.front()) != std::string_view::npos)
            rest.remove_prefix(1);
        if (rest.empty())
            return {};
        const char c = rest.front();
        if (c == '"')
            return quoted();
        if (starts_name(c) || digit(c))
            return word();
        rest.remove_prefix(1);
        switch (c) {
        case '*':
            return {Token::Kind::name, "*"};
        case ',':
            return {Token::Kind::comma, {}};
        case '(':
            return {Token::Kind::open, {}};
        case ')':
            return {Token::Kind::close, {}};
        default:
            return {Token::Kind::bad, {}};
        }
    }

private:
    Token quoted()
    {
        std::string text;
        for (size_t i = 1; i < rest.size(); ++i) {
            if (rest[i] != '"')
                text += rest[i];
            else if (i + 1 < rest.size() && rest[i + 1] == '"')
                text += rest[i++];
            else {
                rest.remove_prefix(i + 1);
                return {Token::Kind::name, text};
            }
        }
        return {Token::Kind::bad, {}};
    }

    Token word()
    {
        const bool number = digit(rest.front());
        size_t length = 0;
        while (length < rest.size() &&
               (digit(rest[length]) || (!number && (starts_name(rest[length]) || rest[length] == '$'))))
            ++length;
        std::string text(rest.substr(0, length));
        rest.remove_prefix(length);
        if (number)
            return {Token::Kind::number, text};
        std::string folded;
        for (const char c : text)
            folded += lower(c);
        if (folded == "first" || folded == "any")
            return {Token::Kind::keyword, folded};
        return {Token::Kind::name, text};
    }

    std::string_view rest;
};

// name, name, …; `list` is the first token of it.  The token after it, or bad.
Token read_list(Lexer &lexer, Token token, std::vector<std::string> &names)
{
    for (;;) {
        if (token.kind != Token::Kind::name && token.kind != Token::Kind::number)
            return {Token::Kind::bad, {}};
        names.push_back(token.text);
        token = lexer.next();
        if (token.kind != Token::Kind::comma)
            return token;
        token = lexer.next();
    }
}

} // namespace

bool SynchronousNames::names_standby(std::string_view application_name) const
{
    const auto same = [application_name](const std::string &name) {
        if (name.size() != application_name.size())
            return false;
        for (size_t i = 0; i < name.size(); ++i)
            if (lower(name[i]) != lower(application_name[i]))
                return false;
        return true;
    };
    for (const std::string &name : names)
        if (name == "*" || same(name))
            return true;
    return false;
}

std::optional<SynchronousNames> parse_synchronous_names(std::string_view text)
{
    SynchronousNames out;
    Lexer lexer(text);
    Token token = lexer.next();
    if (token.kind == Token::Kind::end)
        return out;
    const bool keyword = token.kind == Token::Kind::keyword;
    out.any = keyword && token.text == "any";
    if (keyword)
        token = lexer.next();
    out.required = 1;
    if (token.kind == Token::Kind::number) {
        // a number before a parenthesis counts standbys; elsewhere it is a name
        Lexer ahead = lexer;
        if (ahead.next().kind == Token::Kind::open) {
            lexer = ahead;
            out.required = std::atoi(token.text.c_str());
            return read_list(lexer, lexer.next(), out.names).kind == Token::Kind::close &&
                           lexer.next().kind == Token::Kind::end
                       ? std::optional(out)
                       : std::nullopt;
        }
    }
    if (keyword || read_list(lexer, token, out.names).kind != Token::Kind::end)
        return std::nullopt;
    return out;
}

} // namespace opsrunbook::health
