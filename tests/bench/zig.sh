#!/bin/sh
# Stands for cc, c++, ar or ranlib, by its own name. Upstream's variants say -march= as GCC does; zig wants -mcpu=.
tool=${0##*/}
case $tool in ar | ranlib) exec "@ZIG@" "$tool" "$@" ;; esac
for word do
    shift
    case $word in
        -march=armv8-a*) word=-mcpu=generic${word#-march=armv8-a} ;;
        -march=armv*)
            level=${word#-march=arm} features=''
            case $level in *+*) features=+${level#*+} level=${level%%+*} ;; esac
            word=-mcpu=generic+$(printf %s "${level%-a}" | tr . _)a$(printf %s "$features" | sed 's/+fp16/+fullfp16/')
            ;;
    esac
    set -- "$@" "$word"
done
exec "@ZIG@" "$tool" -target aarch64-linux-gnu.2.28 -g0 "$@"
